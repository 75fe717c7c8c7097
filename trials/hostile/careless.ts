import { createServer } from 'node:http'
import { runningTimers } from '../../test/support/open-resources.js'
import { closeServers, listen } from '../../test/support/servers.js'
import { emptyDirectory, removeDirectories } from '../../test/support/temporary-files.js'
import { type CarelessCase, carelessCase } from './careless-cases.js'
import { type Ground, type Remains, remainsOf } from './careless-run.js'
import { simplest } from './careless-simplify.js'
import { pause } from './careless-clients.js'
import { rememberedCases } from './careless-remembered.js'
import { inParallel } from './in-parallel.js'
import { kindOf, type MishapLog, underWay } from './mishap-log.js'
import { Progress } from './progress.js'
import type { Failures } from './failures.js'

const AT_ONCE = 24
/** How long things may outlive their client: at first, and where it is a failure that counts. */
const SOON_MS = 800
const BOUND_MS = 2500
/** How often a case that failed is tried again: what happens once may be the timing of one packet. */
const TRIES = 3
/** How often without the middlewares: often enough to meet the timing with which that leaves something too. */
const BARE_TRIES = 8
/** How many examples of one kind of mishap are looked for among the cases that ran at the time. */
const EXAMPLES = 2

export interface CarelessRun {
  readonly seed: number
  readonly cases: number
  /** Of how many failures a simpler case is looked for, which takes a while for each. */
  readonly simplified: number
}

/**
 * Runs careless handlers with random clients. What a case leaves behind counts as a failure where the same case
 * leaves nothing without the middlewares; so does whatever would have ended the process.
 */
export class Careless {
  private readonly log: MishapLog
  private readonly failures: Failures
  private readonly progress = new Progress('careless handlers')
  private toSimplify = 0
  private ground: Ground = { directory: '', upstream: '' }

  constructor(log: MishapLog, failures: Failures) {
    this.log = log
    this.failures = failures
  }

  async run({ seed, cases, simplified }: CarelessRun): Promise<number> {
    const upstream = createServer((req, res) => req.resume().on('end', () => res.end('upstream')))
    this.ground = { directory: emptyDirectory(), upstream: (await listen(upstream)).url }
    const timers = runningTimers()
    this.toSimplify = simplified
    const random = Array.from({ length: cases }, (_, index) => carelessCase(seed + index))
    const suspects = await this.firstPass([...rememberedCases, ...random])
    console.error(`careless handlers: ${suspects.remaining.length} to judge, ${suspects.beside.size} mishaps`)
    await inParallel(AT_ONCE, suspects.remaining, (one) => this.judgeRemains(one))
    for (const one of suspects.beside) await this.judgeMishaps(one)
    await this.judgeTimers(timers)
    await closeServers()
    removeDirectories()
    return rememberedCases.length + cases
  }

  /** Runs all cases, many at once, and gives those that need a second look. */
  private async firstPass(
    cases: readonly CarelessCase[],
  ): Promise<{ remaining: CarelessCase[]; beside: Set<CarelessCase> }> {
    const [remaining, beside, running] = [
      [] as CarelessCase[],
      new Set<CarelessCase>(),
      new Set<CarelessCase>(),
    ]
    let done = 0
    await inParallel(AT_ONCE, cases, async (one) => {
      running.add(one)
      const remains = await underWay.run(one, () => remainsOf(one, this.ground, true, SOON_MS))
      if (isLeft(remains)) remaining.push(one)
      if (this.noteMishaps()) for (const suspect of running) beside.add(suspect)
      running.delete(one)
      this.progress.tell('running', ++done, cases.length)
    })
    return { remaining, beside }
  }

  /** True where something would have ended the process of which there are not enough examples yet. */
  private noteMishaps(): boolean {
    const mishaps = this.log.take()
    for (const mishap of mishaps) this.noteMishap(kindOf(mishap), mishap.of as CarelessCase | undefined)
    return mishaps.map(kindOf).some((kind) => this.failures.examplesOf(kind) < EXAMPLES)
  }

  private noteMishap(kind: string, one: CarelessCase | undefined): void {
    this.failures.count(kind)
    if (one === undefined || this.failures.examplesOf(kind) >= EXAMPLES) return
    this.failures.example(kind, `${describe(one)} (seed ${one.seed})`)
  }

  private async judgeMishaps(one: CarelessCase): Promise<void> {
    if (this.failures.hasExamples(EXAMPLES)) return
    await remainsOf(one, this.ground, true, SOON_MS)
    const kinds = new Set(this.log.take().map(kindOf))
    for (const kind of kinds) {
      if (this.failures.examplesOf(kind) < EXAMPLES) this.failures.example(kind, describe(one))
    }
  }

  private async judgeRemains(one: CarelessCase): Promise<void> {
    if (!(await this.isOurs(one))) return
    const simple = this.toSimplify-- > 0 ? await simplest(one, (simpler) => this.isOurs(simpler)) : one
    const { files } = await remainsOf(simple, this.ground, true, BOUND_MS)
    const kind = `left behind: a connection${files > 0 ? ' and a spill file' : ''}`
    this.failures.count(kind)
    this.failures.example(kind, `${describe(simple)} (seed ${one.seed})`)
    this.noteMishaps()
  }

  /** True where the case leaves something each time with the middlewares and never without. */
  private async isOurs(one: CarelessCase): Promise<boolean> {
    for (let count = 0; count < TRIES; count += 1) {
      const both = [true, false].map((withUs) => remainsOf(one, this.ground, withUs, BOUND_MS))
      const [ours, bare] = await Promise.all(both)
      if (!isLeft(ours!) || isLeft(bare!)) return false
    }
    const bare = Array.from({ length: BARE_TRIES }, () => remainsOf(one, this.ground, false, BOUND_MS))
    return !(await Promise.all(bare)).some(isLeft)
  }

  private async judgeTimers(before: number): Promise<void> {
    const end = performance.now() + BOUND_MS
    while (runningTimers() > before && performance.now() < end) await pause(20)
    const left = runningTimers() - before
    if (left > 0) this.failures.count(`left behind: ${left} timers`)
  }
}

function isLeft({ connections, files }: Remains): boolean {
  return connections + files > 0
}

function describe({ host, attach, chain, steps, client }: CarelessCase): string {
  const mounted = [...(attach ? ['attach'] : []), ...chain].join(' + ')
  const handler = steps.map(({ act, at }) => `${act} [${at}]`).join(', ')
  return `${host}, ${mounted}; handler: ${handler}; client: ${JSON.stringify(client)}`
}
