import * as fc from 'fast-check'

/** How many runs `npm run fuzz` asks of each property; 0 in `npm test`, which takes what fits into its time. */
const askedRuns = Number(process.env['SLUICEWAY_FUZZ_RUNS'] ?? 0)

const seed = Number(process.env['SLUICEWAY_FUZZ_SEED'] ?? Date.now() % 2 ** 31)

/** What a property may take of `npm test`. */
export interface QuickRun {
  readonly runs: number
  readonly milliseconds: number
}

/**
 * Checks a property on random cases and prints the seed, with which SLUICEWAY_FUZZ_SEED makes the same cases again.
 * A case that takes two seconds hangs, and fails.
 */
export async function holds<Case>(property: fc.IAsyncProperty<Case>, quick: QuickRun): Promise<void> {
  const bounds =
    askedRuns > 0
      ? { numRuns: askedRuns }
      : { numRuns: quick.runs, interruptAfterTimeLimit: quick.milliseconds, markInterruptAsFailure: false }
  const result = await fc.check(property, { seed, timeout: 2_000, ...bounds })
  console.log(`      ${result.numRuns} cases, SLUICEWAY_FUZZ_SEED=${seed}`)
  if (result.failed) {
    throw new Error(await fc.asyncDefaultReportMessage(result), { cause: result.errorInstance })
  }
}
