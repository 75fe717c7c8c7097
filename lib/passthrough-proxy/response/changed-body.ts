import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import { timers } from '../../node/timers.js'
import { hasNoBody } from '../../shared/response-facts.js'
import { bytesOf } from '../hook-bodies/body-transform.js'
import { responseHookError, responseTransformError } from '../hooks.js'
import type { BodyChain } from './body-chain.js'
import { withoutDigests } from './body-headers.js'
import type { BodyReceiver } from './body-receiver.js'
import type { ResponseHead } from './headers.js'
import type { Incoming } from './incoming.js'
import { requireFraming } from './required-framing.js'
import type { BodyOwner } from './upstream-body.js'

/** The answer to the client as a changed body sees it. */
export interface ClientSide {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly isTaken: boolean
  readonly isClosed: boolean
  open(head: ResponseHead, incoming: Incoming): void
  put(chunk: Buffer): boolean
  flush(): boolean
  write(chunk: Buffer): void
  takesMore(): boolean
  sendHead(): void
  adopt(cause: unknown): void
  end(trailers: string[], last: Buffer | undefined): boolean
}

/** The exchange as a changed body sees it. */
export interface ChangedBodyOwner extends BodyOwner {
  /** Called when the answer has ended, perhaps before the upstream. */
  answered(): void
  /** Ends the exchange: another handler answers, or the client has left. */
  abandon(): void
  /** Passes the rest of the body directly to the answer. */
  passDirectly(): void
}

/** The parts that a changed body brings together. */
export interface ChangedBodyParts {
  readonly head: ResponseHead
  readonly incoming: Incoming
  readonly client: ClientSide
  readonly owner: ChangedBodyOwner
}

/**
 * The longest wait for the first byte of a changed body, in milliseconds: until then, the head is not sent, and a
 * failure is a clean error.
 */
const HEAD_WAITS_MS = 50

/**
 * The body of a response that waits for its hook, or is changed by it:
 *
 *     upstream ── write ─▶ BodyChain ── 'data' ─▶ put ─▶ client
 *              ◀─ resume ──          ◀─ pause ─── full
 *              ◀──────────────────── resume ───── 'drain'
 *
 * The head is sent with the first byte that comes out, or when none has come out for a while. Before that a failure is
 * an error for `next`, and afterwards a cut.
 */
export class ChangedBody implements BodyReceiver {
  private readonly parts: ChangedBodyParts
  private readonly body: BodyChain
  private readonly announced: readonly string[]
  private output: Readable | undefined
  private headTimer: NodeJS.Timeout | undefined
  /** The length that a hook has set for a changed body. */
  private expected: number | undefined
  private sent = 0
  private isOpen = false
  private isOver = false
  private isFlushDue = false
  /** True once the upstream's first read has been passed on. */
  private hasRead = false

  constructor(parts: ChangedBodyParts, announced: readonly string[], pending: Promise<void> | undefined) {
    this.parts = parts
    this.body = parts.incoming.bodyChain
    this.announced = announced
    void this.startAfter(pending)
  }

  write(chunk: Buffer): void {
    this.body.upstream.receive(chunk)
  }

  takesMore(): boolean {
    this.hasRead = true
    const takesMore = this.body.upstream.takesMore()
    this.considerHead()
    return takesMore
  }

  get holdsChunks(): boolean {
    return this.body.upstream.holdsChunks
  }

  get isReplaced(): boolean {
    return this.body.isReplaced
  }

  end(trailers: string[], last: Buffer | undefined): boolean {
    if (last !== undefined) this.body.upstream.receive(last)
    this.body.upstream.finish(trailers)
    return false
  }

  /** Goes on when the client takes more. */
  resume(): void {
    this.output?.resume()
  }

  /** Destroys all streams. */
  release(error: Error | undefined): void {
    this.isOver = true
    timers.clearTimeout(this.headTimer)
    this.parts.incoming.release(error)
  }

  /** Waits for the hook, and for the body that it reads. */
  private async startAfter(pending: Promise<void> | undefined): Promise<void> {
    try {
      await pending
      await this.body.settled()
      if (!this.isOver) this.start()
    } catch (error) {
      if (!this.isOver) this.parts.owner.breakOff(error)
    }
  }

  private start(): void {
    const { incoming, client } = this.parts
    incoming.settle()
    const output = this.body.start()
    requireFraming(incoming, this.announced, client.req.method)
    if (output === this.body.upstream) return this.passOn()
    this.expect()
    this.output = output
    output.on('data', this.onData).on('end', this.onEnd).resume()
    if (this.hasRead || this.body.isReplaced) this.considerHead()
  }

  /**
   * Passes on the bytes of an unchanged body that have arrived, and leaves the rest to the upstream and the answer.
   */
  private passOn(): void {
    const { head, incoming, client, owner } = this.parts
    const { upstream } = this.body
    client.open(head, incoming)
    owner.passDirectly()
    for (const chunk of upstream.takeAll()) client.write(chunk)
    if (upstream.hasEnded) {
      client.end(upstream.trailers, undefined)
      owner.answered()
    } else if (this.hasRead && client.takesMore()) owner.resumeUpstream()
  }

  /** Notes the length that a changed body has to have. */
  private expect(): void {
    const { incoming, client } = this.parts
    const length = incoming.headers.get('content-length')
    if (length === undefined || !this.body.isChanged) return
    // Trailers need chunks.
    incoming.headers.delete('trailer')
    if (!hasNoBody(client.req.method, incoming.statusCode)) this.expected = Number(length)
  }

  private readonly onData = (chunk: unknown): void => {
    if (this.isOver) return
    this.attempt(() => this.pass(outputOf(chunk)))
  }

  private pass(bytes: Buffer): void {
    const { client, owner } = this.parts
    if (client.isClosed) return owner.abandon()
    if (bytes.length === 0 || !this.open()) return
    this.sent += bytes.length
    if (this.sent > (this.expected ?? Infinity)) throw wrongLength('longer')
    if (!client.put(bytes)) this.flush()
    else if (!this.isFlushDue) this.flushSoon()
  }

  /** Sends the chunks of this tick together. */
  private flushSoon(): void {
    this.isFlushDue = true
    timers.nextTick(flushDue, this)
  }

  flushIfDue(): void {
    if (this.isFlushDue && !this.isOver) this.attempt(() => this.flush())
  }

  private flush(): void {
    this.isFlushDue = false
    if (!this.parts.client.flush()) this.output?.pause()
  }

  private readonly onEnd = (): void => {
    if (this.isOver) return
    this.attempt(() => this.finish())
  }

  private finish(): void {
    const { client, owner } = this.parts
    if (client.isClosed) return owner.abandon()
    if (this.sent < (this.expected ?? 0)) throw wrongLength('shorter')
    if (!this.open()) return
    const { trailers } = this.body.upstream
    client.end(this.body.isChanged ? withoutDigests(trailers) : trailers, undefined)
    owner.answered()
  }

  /** Writes the head, if it is still to be written. Returns false if another handler has answered in the meantime. */
  private open(): boolean {
    if (this.isOpen) return true
    const { head, incoming, client, owner } = this.parts
    timers.clearTimeout(this.headTimer)
    if (client.isTaken) owner.abandon()
    else client.open(head, incoming)
    this.isOpen = !this.isOver
    return this.isOpen
  }

  /** Sends the head without waiting for a body that may come much later, such as the next event. */
  private considerHead(): void {
    const { upstream, isReplaced } = this.body
    if (this.isOpen || this.isOver || this.output === undefined || !this.waitsForBody) return
    if (!upstream.hasBegun && !isReplaced) this.openAnd(() => this.parts.client.takesMore())
    else this.headTimer ??= timers.setTimeout(() => this.headIsDue(), HEAD_WAITS_MS)
  }

  private headIsDue(): void {
    if (this.waitsForBody) this.openAnd(() => this.parts.client.sendHead())
  }

  /** True while a part of the body may still come from outside. */
  private get waitsForBody(): boolean {
    return !this.body.upstream.hasEnded || this.body.isReplaced
  }

  private openAnd(send: () => void): void {
    this.attempt(() => {
      if (this.open()) send()
    })
  }

  /** Runs a step in an event of a stream, where an exception would reach the transform. */
  private attempt(step: () => void): void {
    try {
      step()
    } catch (error) {
      this.parts.owner.breakOff(error)
    }
  }
}

function flushDue(body: ChangedBody): void {
  body.flushIfDue()
}

function outputOf(chunk: unknown): Buffer {
  try {
    return bytesOf(chunk)
  } catch (cause) {
    throw responseTransformError(cause)
  }
}

function wrongLength(how: string): Error {
  return responseHookError(new TypeError(`the body is ${how} than its Content-Length`))
}
