import { createServer } from 'node:http'
import { runningTimers } from '../../test/support/process/open-resources.js'
import { emptyDirectory, removeDirectories } from '../../test/support/process/temporary-files.js'
import { closeServers, listen } from '../../test/support/servers/servers.js'
import { type CarelessCase, carelessCase } from './careless-cases.js'
import { pause } from './careless-clients.js'
import { stoppingActs } from './careless-handlers.js'
import { rememberedCases } from './careless-remembered.js'
import { type Ground, type Remains, remainsOf } from './careless-run.js'
import { simplest } from './careless-simplify.js'
import type { Failures } from './failures.js'
import { inParallel } from './in-parallel.js'
import { kindOf, type MishapLog, underWay } from './mishap-log.js'
import { Progress } from './progress.js'

const AT_ONCE = 24
/** How long things may outlive their client: at first, and where it is a failure that counts. */
const SOON_MS = 800
const BOUND_MS = 2500
const LONG_MS = 14_000
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
  private readonly mishaps = new Map<string, { count: number; cases: readonly CarelessCase[] }>()
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
    await this.findCases(suspects.beside)
    await this.judgeMishaps()
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

  /** Notes what would have ended the process, and returns true where it is not known which case did it. */
  private noteMishaps(): boolean {
    const mishaps = this.log.take()
    for (const mishap of mishaps) {
      const kind = kindOf(mishap)
      const { count, cases } = this.mishaps.get(kind) ?? { count: 0, cases: [] }
      const of = mishap.of === undefined ? [] : [mishap.of as CarelessCase]
      this.mishaps.set(kind, { count: count + 1, cases: [...cases, ...of] })
    }
    return mishaps.some(({ of }) => of === undefined)
  }

  /** Looks for the cases behind the mishaps that nobody knows one of, each on its own. */
  private async findCases(beside: Iterable<CarelessCase>): Promise<void> {
    for (const one of beside) {
      if ([...this.mishaps.values()].every(({ cases }) => cases.length > 0)) return
      await underWay.run(one, () => remainsOf(one, this.ground, true, SOON_MS))
      const found = new Set(this.log.take().map(kindOf))
      for (const [kind, { count, cases }] of this.mishaps) {
        if (found.has(kind)) this.mishaps.set(kind, { count, cases: [...cases, one] })
      }
    }
  }

  /** Counts the mishaps that do not happen without the middlewares: an application may end its process itself. */
  private async judgeMishaps(): Promise<void> {
    for (const [kind, { count, cases }] of this.mishaps) {
      const examples = cases.slice(0, EXAMPLES)
      if (await this.happensWithoutUs(kind, examples)) continue
      for (let left = count; left > 0; left -= 1) this.failures.count(kind)
      for (const one of examples) this.failures.example(kind, `${describe(one)} (seed ${one.seed})`)
    }
  }

  private async happensWithoutUs(kind: string, cases: readonly CarelessCase[]): Promise<boolean> {
    const tries = cases.flatMap((one) => Array.from({ length: BARE_TRIES }, () => one))
    await inParallel(AT_ONCE, tries, async (one) => {
      await remainsOf(one, this.ground, false, SOON_MS)
    })
    const { length } = this.log.take().filter((mishap) => messageOf(kindOf(mishap)) === messageOf(kind))
    return length > 0
  }

  private async judgeRemains(one: CarelessCase): Promise<void> {
    if (!(await this.isOurs(one))) return
    const simple = this.toSimplify-- > 0 ? await this.simplified(one) : one
    const { files } = await remainsOf(simple, this.ground, true, BOUND_MS)
    const kind = `left behind: a connection${files > 0 ? ' and a spill file' : ''}`
    this.failures.count(kind)
    this.failures.example(kind, `${describe(simple)} (seed ${one.seed})`)
  }

  /** Looks for a simpler case in short tries, and takes it if it holds. */
  private async simplified(one: CarelessCase): Promise<CarelessCase> {
    const simple = await simplest(one, (simpler) => this.leavesMore(simpler, SOON_MS))
    return simple !== one && (await this.isOurs(simple)) ? simple : one
  }

  /** Tries a case once with the middlewares and once without. */
  private async leavesMore(one: CarelessCase, boundMs: number): Promise<boolean> {
    const both = [true, false].map((withUs) => remainsOf(one, this.ground, withUs, boundMs))
    const [ours, bare] = await Promise.all(both)
    return isLeft(ours!) && !isLeft(bare!)
  }

  /** True where the case leaves something each time with the middlewares and never without. */
  private async isOurs(one: CarelessCase): Promise<boolean> {
    for (let count = 0; count < TRIES; count += 1) {
      if (!(await this.leavesMore(one, BOUND_MS))) return false
    }
    const bare = Array.from({ length: BARE_TRIES }, () => remainsOf(one, this.ground, false, BOUND_MS))
    if ((await Promise.all(bare)).some(isLeft) || (await this.isUnreadable(one))) return false
    // A body that is read after its response is given up when nothing was taken of it for ten seconds.
    return !one.chain.includes('bodyCache') || isLeft(await remainsOf(one, this.ground, true, LONG_MS))
  }

  /**
   * True where a reader may stop in the middle, and bare Node does not notice this client leave when nobody reads: it
   * comes down to how much was read by then. With bodyCache that is not the same to the byte, and the proxy answers 500
   * where bare Node would read on.
   */
  private async isUnreadable(one: CarelessCase): Promise<boolean> {
    const isOwnReader = one.chain.some((name) => name === 'bodyCache' || name === 'passthroughProxy')
    const mayStop = isOwnReader && one.steps.some(({ act }) => stoppingActs.has(act))
    if (!mayStop) return false
    const idle: CarelessCase = { ...one, steps: [{ act: 'req.pause()', at: 'at once' }] }
    return isLeft(await remainsOf(idle, this.ground, false, BOUND_MS))
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

/** A kind without the places, which are not the same without the middlewares. */
function messageOf(kind: string): string {
  return kind.split(' < ', 1)[0]!
}

function describe({ host, attach, chain, steps, client }: CarelessCase): string {
  const mounted = [...(attach ? ['attach'] : []), ...chain].join(' + ')
  const handler = steps.map(({ act, at }) => `${act} [${at}]`).join(', ')
  return `${host}, ${mounted}; handler: ${handler}; client: ${JSON.stringify(client)}`
}
