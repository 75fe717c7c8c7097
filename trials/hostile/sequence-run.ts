import { closeServers } from '../../test/support/servers/servers.js'
import type { Failures } from './failures.js'
import { inParallel } from './in-parallel.js'
import { kindOf, type MishapLog } from './mishap-log.js'
import { Progress } from './progress.js'
import { Random } from './random.js'
import { converse, type Observed } from './sequence-client.js'
import { faultOf } from './sequence-rules.js'
import { packetsOf, type Sending, sendingsOf } from './sequence-sendings.js'
import { type Mounted, startVariant, variants } from './sequence-servers.js'

const AT_ONCE = 96
/** A suspect is tried again with little beside it. */
const JUDGED_AT_ONCE = 8
const OURS_MS = 1000
/** Bare Node may never answer: it loses what stands behind an upgrade in one packet. */
const BARE_MS = 300
/** So many are sent before the suspects among them are tried again. */
const ROUND = 1000
/** A variant that fails so often is not run to its end; a sample is to be quick also where it fails. */
const MAX_FAILURES = { whole: 100, sample: 10 }
/** How many of the sequences that ran beside a mishap are tried alone, to find the one that caused it. */
const MAX_BESIDE = 60
/** How often a fault must show when its sequence runs on its own: a busy machine makes others. */
const TRIES = 3
const EXAMPLES = 3
const SAMPLE_SHARE = 0.03

/** What is wrong, and the answers that show it. */
interface Fault {
  readonly fault: string
  readonly answers: string
}

interface Where {
  readonly host: string
  readonly mounted: readonly Mounted[]
}

export interface SequenceRun {
  readonly host: string
  readonly seed: number
  /** Takes a sample of the sequences, each against one of the variants, instead of all against all. */
  readonly isSample: boolean
}

/** Sends every sequence to a host, once without the middlewares and once to each variant of them. */
export class Sequences {
  private readonly log: MishapLog
  private readonly failures: Failures
  /** What bare Node answers to each sequence, and to the same one without its upgrades. */
  private readonly oracles: { exact: Observed; plain: Observed }[] = []
  private barePort = 0
  private progress = new Progress('sequences')
  private maxFailures = MAX_FAILURES.whole

  constructor(log: MishapLog, failures: Failures) {
    this.log = log
    this.failures = failures
  }

  async run({ host, seed, isSample }: SequenceRun): Promise<number> {
    this.progress = new Progress(`sequences on ${host}`)
    if (isSample) this.maxFailures = MAX_FAILURES.sample
    const random = new Random(seed)
    const sendings = sendingsOf(seed).filter(() => !isSample || random.chance(SAMPLE_SHARE))
    this.barePort = await startVariant(host, [])
    let asked = 0
    await inParallel(AT_ONCE, sendings, async (one) => {
      this.oracles[one.index] = await this.askOracle(one)
      this.progress.tell('bare Node', ++asked, sendings.length)
    })
    // What bare Node dies of is not for us to survive; it is not known to die of any of these.
    for (const mishap of this.log.take()) this.failures.count(`bare Node, ${host}: ${kindOf(mishap)}`)
    await closeServers()
    let count = 0
    for (const [turn, mounted] of variants.entries()) {
      const own = sendings.filter((_one, index) => !isSample || index % variants.length === turn)
      count += await this.runVariant({ host, mounted }, own)
    }
    return count
  }

  private async askOracle(one: Sending): Promise<{ exact: Observed; plain: Observed }> {
    const exact = await send(this.barePort, one, BARE_MS)
    const hasUpgrade = one.sequence.some(({ isUpgrade }) => isUpgrade === true)
    if (!hasUpgrade) return { exact, plain: exact }
    return { exact, plain: await send(this.barePort, one, BARE_MS, 'plain') }
  }

  private expected(index: number, mounted: readonly Mounted[]): Observed {
    const { exact, plain } = this.oracles[index]!
    return mounted.includes('attach') ? plain : exact
  }

  /** Waits less where bare Node is silent too. */
  private send(port: number, one: Sending, mounted: readonly Mounted[]): Promise<Observed> {
    return send(port, one, this.expected(one.index, mounted).hasEnded ? OURS_MS : BARE_MS)
  }

  private async runVariant(where: Where, sendings: readonly Sending[]): Promise<number> {
    this.barePort = await startVariant(where.host, [])
    const port = await startVariant(where.host, where.mounted)
    const before = this.failures.total
    let count = 0
    while (count < sendings.length && this.failures.total - before < this.maxFailures) {
      const round = sendings.slice(count, count + ROUND)
      await this.runRound(round, port, where)
      count += round.length
      this.progress.tell(where.mounted.join(' + '), count, sendings.length)
    }
    await closeServers()
    return count
  }

  /** Sends some sequences, many at once, and looks again at those that something was wrong with. */
  private async runRound(sendings: readonly Sending[], port: number, where: Where): Promise<void> {
    const [suspects, beside, running] = [[] as Sending[], new Set<Sending>(), new Set<Sending>()]
    await inParallel(AT_ONCE, sendings, async (one) => {
      running.add(one)
      const ours = await this.send(port, one, where.mounted)
      if (this.faultIn(one, where.mounted, ours) !== undefined) suspects.push(one)
      if (this.noteMishaps()) for (const suspect of running) beside.add(suspect)
      running.delete(one)
    })
    await inParallel(JUDGED_AT_ONCE, suspects, (one) => this.judge(one, port, where))
    for (const one of [...beside].slice(0, MAX_BESIDE)) {
      if (!this.failures.hasExamples(EXAMPLES)) await this.findMishaps(one, port, where)
    }
  }

  private faultIn(
    { index, sequence, ids }: Sending,
    mounted: readonly Mounted[],
    ours: Observed,
  ): string | undefined {
    return faultOf({ sequence, ids, mounted, bare: this.expected(index, mounted), ours })
  }

  /** True where something would have ended the process, and there are not enough examples of it yet. */
  private noteMishaps(): boolean {
    const kinds = this.log.take().map(kindOf)
    for (const kind of kinds) this.failures.count(kind)
    return kinds.some((kind) => this.failures.examplesOf(kind) < EXAMPLES)
  }

  private async judge(one: Sending, port: number, where: Where): Promise<void> {
    let first: Fault | undefined
    for (let count = 0; count < TRIES; count += 1) {
      const found = await this.faultNow(one, port, where.mounted)
      if (found === undefined) return
      first ??= found
    }
    this.noteMishaps()
    if (first === undefined) return
    this.failures.count(first.fault)
    if (this.failures.examplesOf(first.fault) >= EXAMPLES) return
    this.failures.example(first.fault, `${describe(one, where)}: ${first.answers}`)
  }

  /** Sends one sequence with no other beside it, and blames it for what would have ended the process. */
  private async findMishaps(one: Sending, port: number, where: Where): Promise<void> {
    await send(port, one, OURS_MS)
    for (const kind of new Set(this.log.take().map(kindOf))) {
      if (this.failures.examplesOf(kind) < EXAMPLES) this.failures.example(kind, describe(one, where))
    }
  }

  private async faultNow(
    one: Sending,
    port: number,
    mounted: readonly Mounted[],
  ): Promise<Fault | undefined> {
    this.oracles[one.index] = await this.askOracle(one)
    const bare = this.expected(one.index, mounted)
    const ours = await this.send(port, one, mounted)
    const fault = this.faultIn(one, mounted, ours)
    return fault === undefined ? undefined : { fault, answers: `${summary(ours)} (bare: ${summary(bare)})` }
  }
}

function summary({ answers, hasEnded }: Observed): string {
  const list = answers.map(({ status, id }) => (id === undefined ? `${status}` : `${status} for ${id}`))
  return [...list, hasEnded ? 'end' : 'silence'].join(', ')
}

function describe({ sequence, cuts }: Sending, { host, mounted }: Where): string {
  const packets = cuts.length === 0 ? '' : ` (cut at ${JSON.stringify(cuts)})`
  return `${host}, ${mounted.join(' + ')}: ${sequence.map(({ name }) => name).join(' | ')}${packets}`
}

function send(
  port: number,
  one: Sending,
  patienceMs: number,
  form: 'bytes' | 'plain' = 'bytes',
): Promise<Observed> {
  return converse(port, packetsOf(one, form), one.sequence.length, patienceMs)
}
