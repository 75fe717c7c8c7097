import type { Writable } from 'node:stream'
import { NO_SOCKET } from '../../node/connection/no-socket.js'
import type { ParsedRequest } from '../../node/internals.js'
import { lookUnfinished } from '../../node/request/look-unfinished.js'
import { nativeReadOf } from '../../node/request/methods.js'
import { hasListeners, isHeldBack } from '../../node/streams/listeners.js'
import {
  forgetData,
  outliveEnd,
  readableStateOf,
  renewReadableState,
  sourceOf,
} from '../../node/streams/state.js'
import { timers } from '../../node/timers.js'
import type { SluicewayError } from '../../shared/errors.js'
import { feed, offer } from '../kept/feed.js'
import type { BodyReader } from '../kept/reader.js'
import type { ReplayedBody } from '../views.js'
import { replaceMethods } from './request-methods.js'

/** A place in a body, and the encoding in which its reader counts. */
interface Place {
  readonly position: number
  readonly encoding: BufferEncoding | null
}

/** The request itself as a reader of its kept body. */
export abstract class RequestReader implements BodyReader {
  position = 0
  /** True at first: the parser pushes without being asked, so a request that was never read wants bytes. */
  wanting = true
  ended = false
  loading: number | undefined = undefined
  timesGivenUp = 0
  destinations: readonly Writable[] = []
  /** True once the request has flowed in this round. */
  protected hasFlowed = false
  /** True once its reader has paused the request, until it flows again. */
  protected hasPaused = false
  /** The value of `taken` when a loop last began while its reader had no listener: one that takes no more is done. */
  protected takenAtLoop: number | undefined = Number.NaN
  /** The number of bytes that the readers of this round had taken when one of them paused the request. */
  private takenAtPause: number | undefined
  readonly req: ParsedRequest
  readonly body: ReplayedBody
  /** True once a reader has begun in an earlier round. */
  private wasBegunBefore = false
  /** The place where a reader stopped by `pause()`; it may still give bytes back. */
  private stoppedAt: Place | undefined
  /** The number of streams with which readers go on that were set aside. */
  private goingOn = 0
  /** True while the end of this round waits for them. */
  private isEndHeld = false
  /** The position where the next round begins: after the bytes that an iterator has taken before it left the rest. */
  protected start = 0
  /** Makes the connection flow: the original `_read` of the request. */
  private readonly nativeRead: ParsedRequest['_read']
  /** Puts bytes into the request's own buffer: the original `push` of the request. */
  private readonly nativePush: ParsedRequest['push']

  constructor(body: ReplayedBody, nativePush: ParsedRequest['push']) {
    const { req } = body
    this.req = req
    this.body = body
    this.nativePush = nativePush
    outliveEnd(req)
    lookUnfinished(req)
    this.nativeRead = nativeReadOf(req)
    replaceMethods(req)
  }

  /** True once any code has begun to read the request. */
  get wasBegun(): boolean {
    return this.wasBegunBefore || this.hasFlowed || this.req.readableDidRead
  }

  get stream(): ParsedRequest {
    return this.req
  }

  get isReadable(): boolean {
    return this.body.isReadable
  }

  get readsRequest(): boolean {
    const { req } = this
    // A listener that has paused it from the start, as `Readable.toWeb()` does, may never read.
    const isUsed = this.hasFlowed || req.readableDidRead || !isHeldBack(req)
    return isUsed && !this.isReplaced && (hasListeners(req) || this.goingOn > 0 || this.isBetweenReads)
  }

  /** True while code that listens for one 'readable' at a time works on what it has read, and has no listener. */
  get isBetweenReads(): boolean {
    const { req } = this
    const isLeft = this.hasPaused || req.readableFlowing === true || this.isReplaced
    const isAtWork = req.readableDidRead && !isLeft && !req.readableEnded && !hasListeners(req)
    return isAtWork && this.taken !== this.takenAtLoop
  }

  get readsAhead(): boolean {
    const { req } = this
    return req.readableFlowing !== true && !hasListeners(req) && !this.isBetweenReads
  }

  get readableLength(): number {
    return this.req.readableLength
  }

  offer(chunk: Buffer): void {
    replaceMethods(this.req)
    offer(this, chunk, this.body)
  }

  advance(): void {
    replaceMethods(this.req)
    feed(this, this.body)
  }

  accept(chunk: Buffer | null): boolean {
    const { req } = this
    if (this.isReplaced) return false
    // The end would mark a stream as read although its reader has left: Readable.toWeb of Node 24 then gives nothing.
    if (chunk === null && req.readableDidRead && this.isLeft) {
      this.rewind()
      return false
    }
    this.isEndHeld = chunk === null && this.goingOn > 0
    return !this.isEndHeld && this.nativePush.call(req, chunk)
  }

  /**
   * Ends no round before a reader that was set aside has had the whole body: it takes that end for its own. Returns the
   * function to call then.
   */
  protected holdEnd(): () => void {
    this.goingOn++
    return () => {
      this.goingOn--
      if (this.isEndHeld && this.isReadable) this.accept(null)
    }
  }

  /** True once the application has given the request another stream state: its own stream, which is not ours to fill. */
  protected get isReplaced(): boolean {
    return sourceOf(this.req) === undefined
  }

  /** True once the exchange is over, and the connection may be serving the next one. */
  protected get isOver(): boolean {
    const { req, body } = this
    return body.state === 'released' && req.complete && !body.socket.destroyed
  }

  /** Serves `_read`: hands over more bytes, asks the client for some, or tells why there are none. */
  read(): void {
    const { body } = this
    if (!body.isReadable) {
      timers.nextTick(() => this.failRound())
      return
    }
    this.wanting = true
    if (feed(this, body)) body.pull()
  }

  /** Asks the client for more bytes, through the original `_read`. */
  pull(): void {
    if (this.body.socket === NO_SOCKET) timers.nextTick(() => this.askHost())
    else this.nativeRead.call(this.req, 0)
  }

  /**
   * Asks a host for bytes as Node promises to call `_read`: not while the host pushes, and only once until it has
   * pushed.
   */
  private askHost(): void {
    const { body } = this
    if (body.hostWasAsked || body.state !== 'arriving') return
    body.hostWasAsked = true
    this.nativeRead.call(this.req, 0)
  }

  /** Makes the request look unread, and fills its buffer with the bytes that fit. */
  renew(): void {
    const { req } = this
    if (this.isReplaced) return
    this.body.readers.note(this)
    this.wasBegunBefore = this.wasBegun
    replaceMethods(req)
    renewReadableState(req)
    this.position = this.start
    this.stoppedAt = undefined
    this.ended = false
    this.wanting = true
    this.hasFlowed = false
    this.hasPaused = false
    this.takenAtLoop = Number.NaN
    this.takenAtPause = undefined
    this.isEndHeld = false
    // A read of the file that is in progress belongs to the previous round.
    this.loading = undefined
    feed(this, this.body)
  }

  joined(): void {
    this.destinations = readableStateOf(this.req).pipes.slice()
  }

  /** Makes the next reader begin at the start of the body, even if an iterator has left it the rest. */
  beginAtStart(): void {
    if (this.start === 0) return
    this.start = 0
    if (!hasListeners(this.req)) this.renew()
  }

  /**
   * True while its reader has paused the request and left it, as `unpipe()` does. A listener for 'readable' also keeps
   * it from flowing: code that listens for one at a time goes on.
   */
  get isLeft(): boolean {
    const { req } = this
    return this.hasPaused && req.isPaused() && !hasListeners(req)
  }

  /** Notes that its reader has paused the request. If it has left it before, it is done. */
  paused(): void {
    const { req } = this
    this.takenAtPause = this.taken
    if (hasListeners(req)) this.hasPaused = true
    else if (req.readableDidRead) this.stop()
  }

  /**
   * The number of bytes that the readers of this round have taken; undefined if they have set an encoding, as the request
   * then counts its buffer in characters. If they have paused it, the next reader may have set the encoding.
   */
  get taken(): number | undefined {
    const { req, position } = this
    const { readableEncoding, readableLength } = req
    if (readableEncoding === null || readableLength === 0) return position - readableLength
    return req.isPaused() ? this.takenAtPause : undefined
  }

  /** Starts over for the next reader, unless the present one gives bytes back. */
  private stop(): void {
    const { readableLength, readableEncoding: encoding } = this.req
    const position = this.position - readableLength
    this.rewind()
    // The buffer of a request with an encoding is counted in characters.
    if (encoding === null || readableLength === 0) this.stoppedAt = { position, encoding }
  }

  /**
   * Called before a reader gives bytes back with `unshift()`. The next reader is to go on with them, as in Node, and not
   * to get the body from its start, which would come twice.
   */
  givesBack(): void {
    const { req, stoppedAt } = this
    if (this.isReplaced || !this.isReadable) return
    if (stoppedAt !== undefined && !req.readableDidRead) this.goBackTo(stoppedAt)
    forgetData(req)
  }

  private goBackTo({ position, encoding }: Place): void {
    this.start = position
    this.renew()
    this.start = 0
    if (encoding !== null) this.req.setEncoding(encoding)
  }

  abstract fail(error: SluicewayError): void

  /** Tells a reader that there is nothing more to read, and why. */
  protected abstract failRound(): void

  /** Starts over for the next reader, as the present one has left the request. */
  protected abstract rewind(): void
}
