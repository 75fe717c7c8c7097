import { closeServers } from '../../test/support/servers.js'
import type { Failures } from './failures.js'
import { inParallel } from './in-parallel.js'
import { type Kind, sequences } from './messages.js'
import { kindOf, type MishapLog } from './mishap-log.js'
import { Random } from './random.js'
import { converse, type Observed } from './sequence-client.js'
import { faultOf } from './sequence-rules.js'
import { type Mounted, startVariant, variants } from './sequence-servers.js'

const AT_ONCE = 96
const OURS_MS = 1000
/** Bare Node may never answer: it loses what stands behind an upgrade in one packet. */
const BARE_MS = 500
/** A variant that fails so often is not run to its end; a sample is to be quick also where it fails. */
const MOST_SUSPECTS = { whole: 100, sample: 10 }
/** How many of the sequences that ran beside a mishap are tried alone, to find the one that caused it. */
const MOST_BESIDE = 60
/** How often a fault must show when its sequence runs on its own: a busy machine makes others. */
const TRIES = 3
const EXAMPLES = 3
/** Which share of the sequences is sent a second time, in several packets. */
const SPLIT_SHARE = 0.15
const SAMPLE_SHARE = 0.06

/** One sequence and how it is cut. */
interface Sending {
  readonly index: number
  readonly sequence: readonly Kind[]
  readonly ids: readonly string[]
  readonly parts: readonly Buffer[]
  /** The same with plain messages in place of upgrades. */
  readonly plainParts: readonly Buffer[]
}

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
  private mostSuspects = MOST_SUSPECTS.whole

  constructor(log: MishapLog, failures: Failures) {
    this.log = log
    this.failures = failures
  }

  async run({ host, seed, isSample }: SequenceRun): Promise<number> {
    if (isSample) this.mostSuspects = MOST_SUSPECTS.sample
    const random = new Random(seed)
    const sendings = sendingsOf(seed).filter(() => !isSample || random.chance(SAMPLE_SHARE))
    this.barePort = await startVariant(host, [])
    await inParallel(AT_ONCE, sendings, async (one) => {
      this.oracles[one.index] = await this.askOracle(one)
    })
    // What bare Node dies of is not for us to survive; it is not known to die of any of these.
    for (const mishap of this.log.take()) this.failures.count(`bare Node, ${host}: ${kindOf(mishap)}`)
    let count = 0
    for (const [turn, mounted] of variants.entries()) {
      const own = sendings.filter((_one, index) => !isSample || index % variants.length === turn)
      await this.runVariant(host, mounted, own)
      count += own.length
    }
    await closeServers()
    return count
  }

  private async askOracle(one: Sending): Promise<{ exact: Observed; plain: Observed }> {
    const exact = await send(this.barePort, one, BARE_MS)
    const hasUpgrade = one.sequence.some(({ isUpgrade }) => isUpgrade === true)
    if (!hasUpgrade) return { exact, plain: exact }
    return { exact, plain: await send(this.barePort, { ...one, parts: one.plainParts }, BARE_MS) }
  }

  private expected(index: number, mounted: readonly Mounted[]): Observed {
    const { exact, plain } = this.oracles[index]!
    return mounted.includes('attach') ? plain : exact
  }

  /** Waits less where bare Node is silent too. */
  private send(port: number, one: Sending, mounted: readonly Mounted[]): Promise<Observed> {
    return send(port, one, this.expected(one.index, mounted).hasEnded ? OURS_MS : BARE_MS)
  }

  private async runVariant(
    host: string,
    mounted: readonly Mounted[],
    sendings: readonly Sending[],
  ): Promise<void> {
    const port = await startVariant(host, mounted)
    const suspects: Sending[] = []
    const beside = new Set<Sending>()
    const running = new Set<Sending>()
    await inParallel(AT_ONCE, sendings, async (one) => {
      if (suspects.length >= this.mostSuspects) return
      running.add(one)
      const ours = await this.send(port, one, mounted)
      const { sequence, ids } = one
      const fault = faultOf({ sequence, ids, mounted, bare: this.expected(one.index, mounted), ours })
      if (fault !== undefined) suspects.push(one)
      if (this.noteMishaps()) for (const suspect of running) beside.add(suspect)
      running.delete(one)
    })
    if (suspects.length >= this.mostSuspects)
      this.failures.count(`stopped early: ${host}, ${mounted.join(' + ')}`)
    const judge = (one: Sending): Promise<void> => this.judge(one, port, { host, mounted })
    await inParallel(AT_ONCE / TRIES, suspects, judge)
    for (const one of [...beside].slice(0, MOST_BESIDE)) {
      if (!this.failures.hasExamples(EXAMPLES)) await this.findMishaps(one, port, { host, mounted })
    }
  }

  /** True where something would have ended the process, and there are not enough examples of it yet. */
  private noteMishaps(): boolean {
    const kinds = this.log.take().map(kindOf)
    for (const kind of kinds) this.failures.count(kind)
    return kinds.some((kind) => this.failures.examplesOf(kind) < EXAMPLES)
  }

  private async judge(one: Sending, port: number, where: Where): Promise<void> {
    const tries = Array.from({ length: TRIES }, () => this.faultNow(one, port, where.mounted))
    const [first, ...others] = await Promise.all(tries)
    this.noteMishaps()
    if (first === undefined || others.includes(undefined)) return
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
    const fault = faultOf({ sequence: one.sequence, ids: one.ids, mounted, bare, ours })
    return fault === undefined ? undefined : { fault, answers: `${summary(ours)} (bare: ${summary(bare)})` }
  }
}

function summary({ answers, hasEnded }: Observed): string {
  const list = answers.map(({ status, id }) => (id === undefined ? `${status}` : `${status} for ${id}`))
  return [...list, hasEnded ? 'end' : 'silence'].join(', ')
}

function describe({ sequence, parts }: Sending, { host, mounted }: Where): string {
  const packets = parts.length === 1 ? '' : ` (in ${parts.length} packets)`
  return `${host}, ${mounted.join(' + ')}: ${sequence.map(({ name }) => name).join(' | ')}${packets}`
}

function send(port: number, { parts, sequence }: Sending, patienceMs: number): Promise<Observed> {
  return converse(port, parts, sequence.length, patienceMs)
}

function sendingsOf(seed: number): Sending[] {
  const random = new Random(seed)
  const all = sequences(3)
  const split = all.filter(() => random.chance(SPLIT_SHARE))
  return [
    ...all.map((sequence, index) => sendingOf(sequence, index, () => [])),
    ...split.map((sequence, index) =>
      sendingOf(sequence, all.length + index, (length) => cutsFrom(random, length)),
    ),
  ]
}

function cutsFrom(random: Random, length: number): number[] {
  return Array.from({ length: 1 + random.below(3) }, () => random.below(length)).toSorted((a, b) => a - b)
}

function sendingOf(sequence: readonly Kind[], index: number, cuts: (length: number) => number[]): Sending {
  const ids = sequence.map((_kind, place) => `${index}-${place}`)
  const textOf = (form: 'bytes' | 'plain'): string =>
    sequence.map((kind, place) => (kind[form] ?? kind.bytes)(ids[place]!)).join('')
  const ends = cuts(textOf('bytes').length)
  const [parts, plainParts] = (['bytes', 'plain'] as const).map((form) => cut(textOf(form), ends)) as [
    Buffer[],
    Buffer[],
  ]
  return { index, sequence, ids, parts, plainParts }
}

function cut(text: string, cuts: readonly number[]): Buffer[] {
  const bytes = Buffer.from(text, 'latin1')
  const ends = [...cuts, bytes.length]
  return ends.map((end, part) => bytes.subarray(ends[part - 1] ?? 0, end)).filter(({ length }) => length > 0)
}
