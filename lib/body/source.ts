import type { IncomingMessage, ServerResponse } from 'node:http'
import { announceClose, BodyRest, DEFAULT_LINGER, type LingerBounds, type Rest } from './refused/linger.js'
import type { BodyReader } from './kept/reader.js'
import { BodyReaders } from './kept/readers.js'
import { BodyStore, type BodyStoreOwner, type Storage } from './kept/store.js'
import { BodyStream } from './kept/stream.js'
import { bodyTooLarge, type SluicewayError, sluicewayError } from '../shared/errors.js'
import { sendContinue } from './expect-continue.js'
import { LateReading, type LateReadingOwner } from './late-reading.js'
import {
  keepListeners,
  type OutgoingResponse,
  type ParsedRequest,
  type ServerSocket,
} from '../node/internals.js'
import { isHeard, RefusedAnswer } from './refused/answer.js'
import { announcedLength, hasCutHead, isHttp2 } from '../node/request-facts.js'
import { isRead } from '../node/has-listeners.js'
import { onResponseClose } from '../node/response-close.js'
import { RequestReplay } from './replay/rounds.js'
import { findBodySource, setBodySource } from './sourced-request.js'
import { StreamRest } from './refused/http2-rest.js'

/**
 * - `arriving`: more bytes may come.
 * - `whole`: the client has sent all of it, and all of it was accepted.
 * - `failed`: it passed a limit or the client went away; every reader gets `failure`.
 * - `released`: the response has ended and nothing is kept; every reader gets a fresh error that says so.
 */
export type BodyState = 'arriving' | 'whole' | 'failed' | 'released'

/** Returns the one body source of a request, and taps the request's bytes on the first call. */
export function bodySourceOf(req: IncomingMessage, res: ServerResponse): BodySource {
  return findBodySource(req) ?? tap(req as ParsedRequest, res as OutgoingResponse)
}

/** Nobody can tell what body belongs to a head of which lines are missing: it is refused. */
function tap(req: ParsedRequest, res: OutgoingResponse): BodySource {
  const source = new BodySource(req, res)
  if (hasCutHead(req)) source.refuse(sluicewayError('ERR_SLUICEWAY_HEAD_CUT'))
  return source
}

/**
 * The bytes of one request's body, from where the HTTP parser hands them over (`req.push`) to its readers:
 *
 *     parser ─▶ push ─▶ limit ─▶ store, if one was asked for ─▶ readers
 *                                └─▶ without one: the request's own buffer
 *
 * The middlewares that limit, keep or pass on a body all add to this one tap, so their order cannot matter.
 */
export class BodySource implements BodyStoreOwner, LateReadingOwner {
  readonly req: ParsedRequest
  readonly res: OutgoingResponse
  readonly socket: ServerSocket
  state: BodyState = 'arriving'
  /** Bytes accepted, and those of the chunk that passed the limit. */
  received: number
  /** The announced length, or NaN. */
  readonly length: number
  store: BodyStore | undefined
  /** Throws away what comes after the body was refused or its request answered. */
  rest: Rest | undefined
  linger: LingerBounds = DEFAULT_LINGER
  private lingerLimit = Infinity
  /** The response's own `writeHead`, where a response may have to announce that the connection closes. */
  writeHead: OutgoingResponse['writeHead'] | undefined
  /** Reads the store in place of the request; there is one once the body is kept, or has failed. */
  replay: RequestReplay | undefined
  limit: number = Infinity
  private error: SluicewayError | undefined
  readonly readers: BodyReaders = new BodyReaders()
  private readonly nativePush: ParsedRequest['push']
  private lateReading: LateReading | undefined

  constructor(req: ParsedRequest, res: OutgoingResponse) {
    this.req = req
    this.res = res
    this.socket = req.socket
    this.length = announcedLength(req)
    // Here and below read in the stream's state: what Express has touched, V8 up to Node 22 looks up slowly.
    this.received = req._readableState.length
    // Whatever stands here now, Node's own or another tap; called with the request as `this`.
    // oxlint-disable-next-line typescript/unbound-method
    this.nativePush = req.push
    setBodySource(req, this)
    req.push = pushToSource
    if (req.complete) this.state = 'whole'
    // Before Node's own listener, which hands the connection over to the next request.
    res.prependListener('finish', releaseWithResponse)
  }

  /** True while readers get bytes: the body has neither failed nor been released. */
  get isReadable(): boolean {
    return this.state === 'arriving' || this.state === 'whole'
  }

  /** Why readers get no bytes; undefined while they do. */
  get failure(): SluicewayError | undefined {
    if (this.error === undefined && this.state === 'released')
      return sluicewayError('ERR_SLUICEWAY_BODY_RELEASED')
    return this.error
  }

  /**
   * Lets no more than `limit` bytes through; with several limits the smallest counts.
   * Returns the error for `next` where the body is known to be too large.
   */
  addLimit(limit: number, linger?: LingerBounds): SluicewayError | undefined {
    this.limit = Math.min(limit, this.limit)
    // Of the limits that have bounds, the smallest brings its own, whatever their order.
    if (linger !== undefined && limit <= this.lingerLimit) [this.linger, this.lingerLimit] = [linger, limit]
    announceClose(this)
    const tooLarge = this.length > this.limit || this.received > this.limit
    if (tooLarge && this.error === undefined) this.refuse(bodyTooLarge(this))
    return this.error
  }

  /** Keeps every byte, and makes the request readable again and again from what is kept. */
  keep(storage: Storage): void {
    if (this.store !== undefined || this.error !== undefined) return
    this.store = new BodyStore(storage, this)
    onResponseClose(this.res, releaseWithResponse)
    this.replay ??= new RequestReplay(this)
    this.replay.takeBuffered(this.store)
    this.received = this.store.size
    if (this.error === undefined) this.readers.join(this.replay)
  }

  /** Opens one more way to read the kept body, from its start and at a pace of its own. */
  stream(options?: { readonly isRequest: boolean }): BodyStream {
    return new BodyStream(this, options)
  }

  leave(reader: BodyReader): void {
    this.readers.leave(reader)
    this.readerIsDone(true)
  }

  /** A reader is done for good, or has let go of the request: behind the response, that one may come back. */
  readerIsDone(isForGood: boolean): void {
    if (isForGood && this.lateReading !== undefined && !this.isReadOn) this.release()
    else if (this.received > 0 && this.hasRoom) this.pull()
  }

  /** Asks the client for more, through whatever makes the connection flow. */
  pull(): void {
    if (this.state !== 'arriving' || this.store?.isWriting === true) return
    if (this.hasReaders) sendContinue(this.req)
    this.replay!.nativeRead.call(this.req, 0)
  }

  /** Puts bytes, or the end, into the request's own buffer. Returns false where that is full. */
  pushToRequest(chunk: Buffer | null): boolean {
    return this.nativePush.call(this.req, chunk)
  }

  /** Takes bytes from the parser; null is the end of the body. Returns false where the connection should pause. */
  receive(chunk: Buffer | null): boolean {
    if (this.rest !== undefined) return this.rest.discard(chunk)
    if (this.state === 'released') return this.pushToRequest(chunk)
    if (chunk === null) return this.complete()
    const accepted = this.limit - this.received
    this.received += chunk.length
    if (chunk.length <= accepted) return this.deliver(chunk)
    if (accepted > 0) this.deliver(chunk.subarray(0, accepted))
    return this.overflow(chunk.subarray(accepted))
  }

  private overflow(excess: Buffer): boolean {
    // Storing what came before it may have failed.
    if (this.isReadable) this.refuse(bodyTooLarge(this))
    return this.rest !== undefined && this.rest.discard(excess)
  }

  onStored(): void {
    if (this.hasRoom) this.pull()
  }

  onStoreError(error: SluicewayError): void {
    if (this.isReadable) this.refuse(error) // What is under way when the response ends fails for nobody.
  }

  /** Ends the body with an error that every reader gets, now or later. */
  fail(error: SluicewayError): void {
    this.error = error
    this.state = 'failed'
    this.replay ??= new RequestReplay(this)
    this.replay.fail(error)
    this.readers.fail(error, this.replay)
    this.readerIsDone(true)
  }

  /** The client went away in the middle of the body. */
  abort(cause: Error | undefined): void {
    if (this.state !== 'arriving') return
    this.error = sluicewayError('ERR_SLUICEWAY_BODY_ABORTED', { cause, received: this.received })
    this.state = 'failed'
    this.readers.fail(this.error, this.replay)
  }

  /** Releases everything when the response has ended; what still comes of the body is discarded. */
  release(): void {
    if (this.state === 'released') return
    // A reader that is at work may read on after the response, within the limit.
    if (this.isReadOn && this.res.writableEnded) this.readOn()
    else this.stopReading()
  }

  private readOn(): void {
    keepListeners(this.req)
    this.lateReading ??= new LateReading(this)
  }

  stopReading(): void {
    this.lateReading?.end()
    // Node tells of the end of a body only after a response that was sent at once.
    if (this.state === 'arriving' && this.received !== this.length) this.rest = this.openRest()
    this.state = 'released'
    this.rest?.answered()
    if (this.lateReading?.isCloseDue) this.socket.destroySoon()
    if (this.store !== undefined) this.releaseReaders()
  }

  abandon(): void {
    this.lateReading?.end()
    this.state = 'released'
    this.readers.forget()
    this.store?.clear()
  }

  private releaseReaders(): void {
    this.readers.fail(this.failure!, this.replay)
    this.store?.clear()
    this.replay?.release()
  }

  /** True where a stream beside the request reads the body. */
  get hasReaders(): boolean {
    return this.readers.hasOthersThan(this.replay)
  }

  /** True while somebody reads the request. */
  get isReadOn(): boolean {
    if (this.store === undefined) return this.state === 'arriving' && isRead(this.req)
    return this.isReadable && this.readers.readRequest
  }

  private deliver(chunk: Buffer): boolean {
    if (this.store === undefined) return this.pushToRequest(chunk)
    this.store.append(chunk)
    this.readers.advance()
    return this.hasRoom && !this.store.isWriting
  }

  /** True while a reader that has had all that has come wants more. */
  get isAwaited(): boolean {
    return this.store !== undefined && this.readers.isAwaited(this.store)
  }

  private get hasRoom(): boolean {
    return this.isReadable && this.readers.haveRoom(this.store!, this.req.readableHighWaterMark)
  }

  private complete(): boolean {
    // Node takes an HTTP/2 stream that was reset for one that has ended, and says 'aborted' a moment later.
    if (isHttp2(this.req) && this.received < this.length) {
      this.abort(undefined)
      return false
    }
    this.state = 'whole'
    this.lateReading?.bodyIsWhole()
    if (this.store === undefined) return this.pushToRequest(null)
    this.readers.advance()
    return false
  }

  /** Refuses the body: every reader gets the error, the response is brought home, and the connection closes. */
  refuse(error: SluicewayError): void {
    const { res, req, linger } = this
    this.rest = this.openRest()
    const answer = new RefusedAnswer(res, error)
    answer.answerIfNobodyDoes(this.hasReaders || isHeard(req) ? linger.lingerMs : 0)
    this.fail(error)
    this.rest.closeAfterAnswer()
  }

  private openRest(): Rest {
    return isHttp2(this.req) ? new StreamRest(this.res) : new BodyRest(this)
  }
}

/** The request's own `push`: every byte passes here. */
function pushToSource(this: ParsedRequest, chunk: Buffer | null): boolean {
  return findBodySource(this)!.receive(chunk)
}

function releaseWithResponse(this: ServerResponse): void {
  findBodySource(this.req)?.release()
}
