import * as fc from 'fast-check'

/** The number of runs of each property in `npm run fuzz`; 0 in `npm test`, which runs as many as fit into its time. */
const askedRuns = Number(process.env['SLUICEWAY_FUZZ_RUNS'] ?? 0)

const seed = Number(process.env['SLUICEWAY_FUZZ_SEED'] ?? Date.now() % 2 ** 31)

/** The time that a property may take in `npm test`. */
export interface QuickRun {
  readonly runs: number
  readonly milliseconds: number
}

/**
 * Checks a property on random cases and prints the seed, with which SLUICEWAY_FUZZ_SEED repeats the same cases.
 * A case that takes two seconds hangs, and fails.
 */
export async function holds<Case>(property: fc.IAsyncProperty<Case>, quick: QuickRun): Promise<void> {
  const isLong = askedRuns > 0
  const boxed = new TimeBoxed(property, isLong ? Number.POSITIVE_INFINITY : quick.milliseconds)
  const numRuns = isLong ? askedRuns : quick.runs
  const result = await fc.check(boxed.property, { seed, timeout: 2_000, numRuns })
  console.log(`      ${boxed.runs} cases, SLUICEWAY_FUZZ_SEED=${seed}`)
  if (result.failed) {
    throw new Error(await fc.asyncDefaultReportMessage(result), { cause: result.errorInstance })
  }
}

/**
 * A property that begins no further case once its time is over, and counts those as passed. fast-check's own limit
 * lets the current case continue beyond the end of the test and of its servers.
 */
class TimeBoxed<Case> {
  readonly property: fc.IAsyncProperty<Case>
  runs = 0

  constructor(property: fc.IAsyncProperty<Case>, milliseconds: number) {
    const end = performance.now() + milliseconds
    const run: typeof property.run = (one) => {
      if (performance.now() > end) return Promise.resolve(null)
      this.runs += 1
      return property.run(one)
    }
    this.property = Object.assign(Object.create(property) as typeof property, { run })
  }
}
