import type { Answer } from './answers.js'
import type { Kind } from './messages.js'
import type { Observed } from './sequence-client.js'
import type { Mounted } from './sequence-servers.js'

/** One conversation, judged against the same one without the middlewares. */
export interface Conversation {
  readonly sequence: readonly Kind[]
  readonly ids: readonly string[]
  readonly mounted: readonly Mounted[]
  readonly bare: Observed
  readonly ours: Observed
}

/** What is wrong with a conversation, in a few words; undefined where nothing is. */
export function faultOf(one: Conversation): string | undefined {
  return disorderOf(one) ?? silenceOf(one) ?? differenceOf(one)
}

/** Each answer is for the message at its place, and only the last may come from Node instead of the application. */
function disorderOf(one: Conversation): string | undefined {
  const { sequence, ids } = one
  const { answers, hasEnded } = one.ours
  if (answers.length > sequence.length) return 'more answers than messages'
  for (const [place, answer] of answers.slice(0, judgedOf(one)).entries()) {
    const isLast = place === answers.length - 1
    if (answer.id === undefined && !(isLast && hasEnded && answer.status >= 400)) {
      return `${answer.status} without an application in the middle of a connection`
    }
    if (answer.id !== undefined && !isFor(answer, ids[place]!)) return 'an answer out of order, or mixed up'
  }
  return undefined
}

/**
 * How many of the answers are judged. Without `attach`, Node loses the bytes that come in one read with an upgrade. Of
 * what is behind that, it depends on how the packets arrive which message is answered, if any.
 */
function judgedOf({ sequence, mounted }: Conversation): number {
  const upgrade = sequence.findIndex(({ isUpgrade }) => isUpgrade === true)
  return mounted.includes('attach') || upgrade === -1 ? sequence.length : upgrade + 1
}

function isFor({ status, id, body }: Answer, expected: string): boolean {
  return id === expected && (status !== 200 || body.endsWith(` ${expected}`))
}

/** A message that gets no answer has its connection ended. */
function silenceOf(one: Conversation): string | undefined {
  const isSilent = !one.ours.hasEnded && one.ours.answers.length < judgedOf(one)
  return isSilent ? 'no answer, and the connection stays open' : undefined
}

function differenceOf(one: Conversation): string | undefined {
  for (const [place, kind] of one.sequence.slice(0, judgedOf(one)).entries()) {
    const bare = one.bare.answers[place]
    const ours = one.ours.answers[place]
    if (ours === undefined && mayEndBefore(one, place)) return undefined
    if (isRefused(kind, one.mounted)) return isOvertaken(one, place) ? undefined : wrongRefusal(bare, ours)
    if (wasAccepted(ours) && mustBeRefused(one, kind)) return `${ours!.status} for what bare Node refuses`
    if (bare?.id === undefined || isOvertaken(one, place)) continue
    const fault = otherThan(bare, ours)
    if (fault !== undefined) return fault
  }
  return undefined
}

function otherThan(bare: Answer, ours: Answer | undefined): string | undefined {
  if (ours === undefined) return 'no answer where bare Node answers'
  if (ours.status !== bare.status) return `${ours.status} where bare Node answers ${bare.status}`
  return ours.body === bare.body ? undefined : 'another answer than that of bare Node'
}

function wasAccepted(answer: Answer | undefined): boolean {
  return answer !== undefined && answer.status < 400
}

/** Without `attach` Node decides alone. */
function mustBeRefused({ mounted }: Conversation, { isInvalid }: Kind): boolean {
  return isInvalid === true && mounted.includes('attach')
}

function isRefused({ isTooLarge }: Kind, mounted: readonly Mounted[]): boolean {
  return isTooLarge === true && mounted.includes('maxBytes')
}

/** What stands behind a refused body is never served. */
function wrongRefusal(bare: Answer | undefined, ours: Answer | undefined): string | undefined {
  if (bare?.id === undefined || ours?.status === 413) return undefined
  return `${ours?.status ?? 'nothing'} for a body that is too large`
}

/**
 * True where Node refuses a message behind this one as soon as it has parsed that, and cuts off whatever has not been
 * answered. Answers that the handlers give at once are out by then; those that take a turn longer with us are not.
 */
function isOvertaken({ sequence, mounted, ours }: Conversation, place: number): boolean {
  const takesLonger = sequence.some((kind) => (kind.isUpgrade ?? kind.isTooLarge) === true)
  if (!mounted.includes('passthroughProxy') && !takesLonger) return false
  if (ours.answers[place]?.id !== undefined) return false
  const behind = sequence.slice(place)
  return behind.some((kind, index) => {
    const isRefusedItself = index > 0 && kind.isInvalid === true
    return isRefusedItself || (kind.endsConnection === true && index < behind.length - 1)
  })
}

/** True where the connection may have ended by the message at `place`, for what it or one before it is. */
function mayEndBefore({ sequence, mounted }: Conversation, place: number): boolean {
  const discards = mounted.includes('maxBytes') || mounted.includes('bodyCache')
  const isReason = (kind: Kind): boolean =>
    ((kind.isUpgrade ?? kind.isExpecting) === true && mounted.includes('attach')) ||
    (kind.leavesLargeRest === true && discards)
  const waits = place > 0 && isReason(sequence[place]!)
  return waits || sequence.slice(0, place).some(isReason)
}
