import type { IncomingMessage, ServerResponse } from 'node:http'
import { containWithoutCut } from '../../node/contained.js'
import { cutResponse } from '../../node/response/cut.js'
import { hasOtherFlush, isReplaced } from '../../node/response/methods.js'
import { isHeadWritten, sendHead } from '../../node/response/send-head.js'
import { sendsBody } from '../../node/response/state.js'
import { timers } from '../../node/timers.js'
import { exceptionContained } from '../../shared/channels.js'
import { isError } from '../../shared/is-error.js'
import type { ResponseHook } from '../hooks.js'
import type { ProxySettings } from '../settings.js'
import type { Target } from '../target.js'
import { askHook } from './ask-hook.js'
import type { BodyReceiver } from './body-receiver.js'
import type { ChangedBody, ChangedBodyOwner, ClientSide } from './changed-body.js'
import { endWith, leaveNow } from './hand-to-kernel.js'
import { fitToFraming, readTrailers, type ResponseHead } from './headers.js'
import { Incoming } from './incoming.js'
import { writeInformation } from './interim.js'
import { JoinedChunks } from './joined-chunks.js'
import { rewriteHeaders } from './rewrite.js'
import { writeTrailers } from './trailers.js'
import { writeHead } from './write-head.js'

/** The time that a head waits for the first byte of a body that a middleware may change. */
const HEAD_ALONE_MS = 50

/** The exchange as its answer sees it. */
export interface AnswerOwner extends ChangedBodyOwner {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly settings: ProxySettings
}

/** Sends the answer to the client: interim responses, head, body at the client's pace, trailers. */
export class Answer implements BodyReceiver, ClientSide {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  private readonly owner: AnswerOwner
  /** True if the client gets the upstream's head. */
  isBegun = false
  /** True if the client gets no body, although the upstream or a hook may give one: Node may refuse it. */
  private isHeadOnly = false
  private hasBody = false
  private joined: JoinedChunks | undefined
  private isFull = false
  /** True if the kernel has everything, and no buffer on this side holds any of it. */
  private hasLeft = true
  /** True if the application has corked the response. */
  private isCorked = false
  /** True from the first chunk of a read to the end of that read, during which Node itself may cork. */
  private isInRead = false
  /** Whether the response's 'drain' is listened to, and whether the upstream waits for it. */
  private drain: 'unheard' | 'heard' | 'awaited' = 'unheard'
  private headTimer: NodeJS.Timeout | undefined
  /** The body that a hook changes. */
  private changed: ChangedBody | undefined

  constructor(owner: AnswerOwner) {
    this.req = owner.req
    this.res = owner.res
    this.owner = owner
  }

  /**
   * True if another handler answers, such as a timeout middleware: its answer must be neither overwritten nor cut.
   */
  get isTaken(): boolean {
    return isHeadWritten(this.res) && !this.isBegun
  }

  /** True if the answer was ended by another handler, or cut, and takes nothing more. */
  get isClosed(): boolean {
    return this.res.writableEnded || this.res.destroyed
  }

  /**
   * Takes over the answer that a failed hook has begun by itself: no other code would end it. If Node has refused a
   * second head, another handler may have sent the first one, and its answer is left alone, as is one that has ended:
   * `next` would cut it, and only observers are told of the error.
   */
  adopt(cause: unknown): void {
    if (!this.isTaken) return
    const isRefused = isError(cause) && 'code' in cause && cause.code === 'ERR_HTTP_HEADERS_SENT'
    if (!this.isClosed && !isRefused) this.isBegun = true
    else if (!this.res.destroyed && exceptionContained.isObserved)
      exceptionContained.tell({ req: this.req, error: cause })
  }

  /** Passes an interim response on if the client supports it. */
  inform(status: number, lines: readonly string[]): void {
    try {
      writeInformation(this.req, this.res, status, lines)
    } catch {
      // Node, or a method of the application, refuses it. Interim responses are optional.
    }
  }

  /**
   * Writes the head after the options and `onResponse` have changed it. It is sent with the first bytes of the body.
   * Returns the receiver of the body: this answer, or a body that the hook changes.
   */
  begin(head: ResponseHead): BodyReceiver {
    const { onResponse } = this.owner.settings
    this.rewrite(head.headers.lines, head.target)
    if (onResponse !== undefined) return this.ask(onResponse, head)
    this.open(head)
    return this
  }

  /** Applies the options that rewrite headers. */
  private rewrite(lines: string[], target: Target): void {
    const { rewrites, preserveHost } = this.owner.settings
    if (rewrites !== undefined) rewriteHeaders(lines, rewrites, { req: this.req, target, preserveHost })
  }

  private ask(hook: ResponseHook, head: ResponseHead): BodyReceiver {
    const incoming = new Incoming(head, this.owner)
    const changed = askHook(hook, { head, incoming, client: this, owner: this.owner })
    if (changed === undefined) this.open(head, incoming)
    this.changed = changed
    return changed ?? this
  }

  /** Writes the head as a hook has left it. */
  open(head: ResponseHead, incoming?: Incoming): void {
    const { headers } = head
    const { statusCode = head.status, statusMessage = head.reason } = incoming ?? {}
    this.isHeadOnly = !sendsBody(this.res, statusCode)
    fitToFraming(headers, this, statusCode, incoming?.endsWithHead ?? head.endsWithHead)
    this.writeHead(statusCode, statusMessage, headers.lines)
    // Node would put a head that waits for its turn, if it came with a chunk, before a waiting `100 Continue`.
    if (this.res.socket === null && isHeadWritten(this.res)) sendHead(this.res)
  }

  /** Writes the head after which the connection belongs to the upstream. */
  upgrade(lines: string[], target: Target): void {
    this.rewrite(lines, target)
    this.writeHead(101, 'Switching Protocols', lines)
  }

  /** Writes a chunk, which is sent together with the others of this read, also through compression. */
  write(chunk: Buffer): void {
    if (this.isHeadOnly) return
    this.noteBody()
    this.joined ??= new JoinedChunks(this.res)
    if (this.joined.add(chunk)) return
    this.joined.sendWithNext()
    this.put(chunk)
    this.res.flush?.() // added by `compression` or autoFlush
  }

  /**
   * Writes a chunk of a changed body: at once, as its transform may itself write to the response, or end it. Returns false
   * if the client's buffers are full.
   */
  put(chunk: Buffer): boolean {
    const { res } = this
    if (this.isHeadOnly) return true
    this.noteBody()
    // A `write` that the application has replaced may return nothing at all, which pipe() does not count as full.
    if ((res.write(chunk) as boolean | undefined) === false) this.isFull = true
    return !this.isFull
  }

  private noteBody(): void {
    this.hasBody = true
    if (!this.isInRead) this.isCorked = this.res.writableCorked > 0
    this.isInRead = true
    this.hasLeft = false
  }

  /** Sends the chunks that were put, also through compression. Returns false if the client's buffers are full. */
  flush(): boolean {
    this.res.flush?.()
    return this.takesMore()
  }

  /** Sends the written bytes. Returns false if the client's buffers are full; the upstream is resumed later. */
  takesMore(): boolean {
    // The head came without a byte of the body.
    if (!this.hasBody && !this.isClosed) this.sendHeadAlone()
    if (this.joined?.send() === false) this.isFull = true
    this.hasLeft = !this.isCorked && leaveNow(this.res)
    this.isInRead = false
    const isFull = this.isFull && !this.hasLeft
    this.isFull = false
    if (isFull) this.waitForDrain()
    return !isFull
  }

  /** True while the chunks written last are still on this side. */
  get holdsChunks(): boolean {
    return !this.hasLeft
  }

  /** Ends the answer after its `last` bytes, with trailers if the client supports them. */
  end(trailers: string[], last: Buffer | undefined): boolean {
    this.joined?.sendWithNext()
    if (trailers.length > 0) writeTrailers(this.res, readTrailers(trailers))
    const isFree = endWith(this.res, this.isHeadOnly ? undefined : last)
    this.hasLeft = (isFree && this.hasLeft) || leaveNow(this.res)
    return true
  }

  /** Destroys the streams of a changed body: with an error, if it has not ended. */
  release(error: unknown): void {
    const { changed } = this
    if (changed === undefined) return
    containWithoutCut(this.req, () => changed.release(isError(error) ? error : undefined))
  }

  /** Returns the receiver of a body that the hook has left as it is. */
  takeBack(): BodyReceiver {
    this.changed = undefined
    return this
  }

  /** Ends the answer visibly: a clean end would make a part look complete. */
  cut(): void {
    cutResponse(this.res)
  }

  /**
   * Writes the head. If a layer before Node's own method has sent part of it and failed, the answer can only be cut.
   */
  private writeHead(status: number, reason: string, lines: string[]): void {
    const isTaken = isHeadWritten(this.res)
    try {
      writeHead(this.res, status, reason, lines)
      this.isBegun = true
    } catch (error) {
      this.isBegun = isHeadWritten(this.res) && !isTaken
      throw error
    }
  }

  /**
   * Sends the head before any byte of the body. A middleware that changes the body, and with it the head, gets a moment
   * for a first byte that comes in a packet of its own. One that has added a `flush` is ready for a head alone.
   */
  private sendHeadAlone(): void {
    const { res } = this
    const mayChange = !isHeadWritten(res) && isReplaced(res, 'write') && !hasOtherFlush(res)
    if (!mayChange) return sendHead(res)
    // A busy process may find that byte only after the time is up: it is read before an immediate runs.
    this.headTimer ??= timers.setTimeout(() => timers.setImmediate(() => this.headIsDue()), HEAD_ALONE_MS)
  }

  private headIsDue(): void {
    try {
      if (!isHeadWritten(this.res)) this.sendHead()
    } catch (error) {
      this.owner.breakOff(error)
    }
  }

  /** Sends the head now if no byte of the body has arrived: the wait was long enough. */
  sendHead(): void {
    if (!this.hasBody && !this.isClosed) sendHead(this.res)
  }

  private waitForDrain(): void {
    // The listener stays: `compression` moves it to its own stream, and could not remove a `once` from there.
    if (this.drain === 'unheard') this.res.on('drain', () => this.drained())
    this.drain = 'awaited'
  }

  private drained(): void {
    if (this.drain !== 'awaited') return
    this.drain = 'heard'
    try {
      if (this.changed === undefined) this.owner.resumeUpstream()
      else this.changed.resume()
    } catch (error) {
      this.owner.breakOff(error)
    }
  }
}
