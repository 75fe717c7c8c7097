import { type Kind, sequences } from './messages.js'
import { Random } from './random.js'

/** One sequence and how it is cut. Its bytes are made when they are sent: those of all would fill gigabytes. */
export interface Sending {
  readonly index: number
  readonly sequence: readonly Kind[]
  readonly ids: readonly string[]
  readonly cuts: readonly Cut[]
}

/** Where one packet ends: in which message, and where in that, as a share of its first bytes. */
interface Cut {
  readonly message: number
  readonly share: number
}

/** Which share of the sequences is sent a second time, in several packets. */
const SPLIT_SHARE = 0.15
/** A cut in the middle of a large body would tell little. */
const CUT_WITHIN = 400

/** Every sequence of up to three messages in one packet, and some of them in several. */
export function sendingsOf(seed: number): Sending[] {
  const random = new Random(seed)
  const all = sequences(3)
  const split = all.filter(() => random.chance(SPLIT_SHARE))
  return [
    ...all.map((sequence, index) => sendingOf(sequence, index, [])),
    ...split.map((sequence, index) => sendingOf(sequence, all.length + index, cutsFrom(random, sequence))),
  ]
}

function sendingOf(sequence: readonly Kind[], index: number, cuts: readonly Cut[]): Sending {
  return { index, sequence, ids: sequence.map((_kind, place) => `${index}-${place}`), cuts }
}

function cutsFrom(random: Random, { length }: readonly Kind[]): Cut[] {
  return Array.from({ length: 1 + random.below(3) }, () => ({
    message: random.below(length),
    share: random.below(1000) / 1000,
  }))
}

/** The packets of a sending; in the plain form, those with plain messages in place of upgrades. */
export function packetsOf({ sequence, ids, cuts }: Sending, form: 'bytes' | 'plain'): Buffer[] {
  const messages = sequence.map((kind, place) => (kind[form] ?? kind.bytes)(ids[place]!))
  const whole = Buffer.from(messages.join(''), 'latin1')
  const ends = cuts.map(({ message, share }) => {
    const start = messages.slice(0, message).join('').length
    return start + Math.floor(share * Math.min(messages[message]!.length, CUT_WITHIN))
  })
  return packets(whole, ends)
}

function packets(whole: Buffer, cuts: readonly number[]): Buffer[] {
  const ends = [...cuts.toSorted((one, other) => one - other), whole.length]
  return ends.map((end, at) => whole.subarray(ends[at - 1] ?? 0, end)).filter(({ length }) => length > 0)
}
