import { Readable, type Writable } from 'node:stream'
import { type BodyReader, feed } from '../kept/reader.js'
import type { BodySource } from '../source.js'
import type { BodyStore } from '../kept/store.js'
import { type ErrorCode, type SluicewayError, sluicewayError } from '../../shared/errors.js'
import { admitLateReaders } from './overlapping-readers.js'
import {
  keepListeners,
  type OutgoingResponse,
  type ParsedRequest,
  renewReadableState,
  STREAM_DESTROYED,
} from '../../node/internals.js'
import { nativeReadOf, replaceMethods } from './request-methods.js'
import { isHttp2 } from '../../node/request-facts.js'
import { isRead } from '../../node/has-listeners.js'
import { findBodySource, setBodySource } from '../sourced-request.js'
import { givenUpRound, tellRound, type ToldRound } from './told-round.js'

/**
 * Makes a request readable again in place, any number of times, by anything that can read a stream.
 *
 * Each reading is a round. It ends when its reader has had the end of the body, has given up, or was told that the
 * body failed; then the request gets a fresh stream state and looks as if nobody had read it yet. docs/behaviour.md
 * tells for each rule in here which consumer made it necessary.
 */
export class RequestReplay implements BodyReader, ToldRound {
  position = 0
  /** The parser pushes without being asked, so a fresh request wants bytes. */
  wanting = true
  ended = false
  loading: number | undefined = undefined
  readonly source: BodySource
  /** Lets the connection flow: the request's `_read` as it was before. */
  readonly nativeRead: ParsedRequest['_read']
  /** True while the request flows and nobody listens. */
  isDiscarding = false
  /** True while a reader who was set aside waits for the end of a round. */
  isAwaited = false
  /** The encoding that the reader of this round has set. */
  encoding: BufferEncoding | null = null
  /** What the request is piped to in this round, since it last began to flow. */
  destinations: readonly Writable[] = []
  /** True once a round had the whole body, or an iterator was done with it. */
  wasRead = false
  /** True once the request was closed for good: its client has left, or the application has cut the connection. */
  hasClosed = false
  /** True from when a round is told that the body failed until it is over. */
  private isTelling = false

  constructor(source: BodySource) {
    this.source = source
    const { req } = source
    req._readableState.autoDestroy = false
    this.nativeRead = nativeReadOf(req)
    replaceMethods(req)
    req.prependListener('end', startNextRound)
    admitLateReaders(req)
  }

  /** Moves what the request has buffered so far to the store, or notes why the body cannot be kept. */
  takeBuffered(store: BodyStore): void {
    const { req, state } = this.source
    const { length } = req._readableState
    const lost = lossOf(req)
    // An iterator that has read a request to its end leaves its listener for 'readable' on it.
    if (lost !== undefined) this.dropReaders()
    if (lost !== undefined && !this.takeRawBody(store)) {
      this.source.fail(sluicewayError(lost))
      return
    }
    if (lost === undefined && length > 0) store.append(req.read(length) as Buffer)
    // A request as new as the middleware usually finds it needs nothing more.
    if (lost !== undefined || length > 0 || state === 'whole') this.renew()
  }

  /** Accepts what a host such as Cloud Functions read before us and left as `req.rawBody`. */
  private takeRawBody(store: BodyStore): boolean {
    const { rawBody } = this.source.req as { rawBody?: unknown }
    if (!Buffer.isBuffer(rawBody)) return false
    store.append(rawBody)
    this.source.state = 'whole'
    return true
  }

  get readsRequest(): boolean {
    return isRead(this.source.req)
  }

  get readableLength(): number {
    return this.source.req.readableLength
  }

  get req(): ParsedRequest {
    return this.source.req
  }

  get res(): OutgoingResponse {
    return this.source.res
  }

  advance(): void {
    replaceMethods(this.source.req)
    feed(this, this.source)
  }

  accept(chunk: Buffer | null): boolean {
    const { req } = this.source
    // Its end would make a stream that was let go of look read: Readable.toWeb of Node 24 then gives nothing.
    if (chunk === null && req.readableDidRead && req.isPaused() && !isRead(req)) {
      this.rewind()
      return false
    }
    return this.source.pushToRequest(chunk)
  }

  /** Serves `_read`: more bytes, a request to the client for some, or the reason why there are none. */
  read(): void {
    const { source } = this
    if (!source.isReadable) {
      process.nextTick(() => this.failRound())
      return
    }
    this.wanting = true
    if (feed(this, source)) source.pull()
  }

  /** Tells whoever reads that the body failed. Without a reader the next one is told. */
  fail(error: SluicewayError): void {
    if (this.isListenedTo) this.tell(error)
    else process.nextTick(() => this.endRound())
  }

  /** Starts the round after one that had the whole body: called as the first listener of its 'end'. */
  next(): void {
    this.wasRead = true
    this.isAwaited = false
    this.dropReaders()
    this.renew()
    this.source.readerIsDone(true)
  }

  /** Ends a round whose reader gave up, and lets that reader know as a destroyed stream would. */
  giveUp(error: Error | undefined): void {
    const { req } = this.source
    const tellRest = givenUpRound(req, error)
    this.dropReaders()
    this.rewind()
    process.nextTick(() => {
      tellRest()
      // The reader marks it behind its own destroy(), as it does not look destroyed.
      if (req[STREAM_DESTROYED] === true) req[STREAM_DESTROYED] = false
    })
  }

  /** Starts over for the next reader where one paused, let go of the stream and so will not come back. */
  rewindAbandoned(): void {
    const { req } = this.source
    const abandoned = req.readableDidRead && !isRead(req)
    if (abandoned) this.rewind()
  }

  /** Keeps the request from holding the body, or the connection the request, once the response has ended. */
  release(): void {
    const { req, socket } = this.source
    if (this.hasClosed) this.dropReaders()
    if (isRead(req)) this.failRound()
    else if (!this.isTelling) this.renew()
    keepListeners(req)
    if (req.complete && socket.parser?.incoming === req) socket.parser.incoming = null
    // Over HTTP/2, Node emits 'close' with the end of the stream, however much was read.
    const isClosing = this.hasClosed || req.destroyed || isHttp2(req)
    if (req.listenerCount('close') > 0 && !isClosing) process.nextTick(emitClose, req)
  }

  /** Destroys the request for good: the client has gone, or the application wants the connection cut. */
  destroy(error: Error | undefined): void {
    // Node destroys the request of a connection that ends, also where the application has done so before.
    if (this.hasClosed) return
    const { source } = this
    const { req } = source
    const clientHadSentAll = req.complete && source.socket.destroyed
    if (clientHadSentAll) {
      // No 'aborted': nothing of the body is missing. A stream that has ended is closed quietly.
      req._readableState.endEmitted = true
    }
    this.hasClosed = true
    source.abort(error)
    Readable.prototype.destroy.call(req, clientHadSentAll ? undefined : error)
    // A response whose connection the application has taken over never closes, nor does one that is over.
    if (source.res.socket === null) source.release()
  }

  private get isListenedTo(): boolean {
    const { req } = this.source
    return isRead(req) || (!this.hasClosed && req.listenerCount('error') > 0)
  }

  /** Behind the response nobody is told who only throws the body away, as after `pause()` in the last of its data. */
  private failRound(): void {
    const isTold = this.source.state === 'released' ? isRead(this.req) : this.isListenedTo
    const { failure } = isTold ? this.source : { failure: undefined }
    if (failure === undefined) this.endRound()
    else this.tell(failure)
  }

  /** Starts over after a failure. */
  endRound(): void {
    this.isTelling = false
    this.renew()
    // body-parser and finalhandler read a request to its end before they go on; on-finished takes this for the end.
    this.source.req.emit('finish')
  }

  private tell(error: SluicewayError): void {
    if (this.isTelling) return
    this.isTelling = true
    tellRound(this, error)
  }

  /** Listeners of one round must not see the next: they would parse, write or call back twice. */
  dropReaders(): void {
    const { req } = this.source
    for (const event of ['data', 'readable']) {
      if (req.listenerCount(event) > 0) req.removeAllListeners(event)
    }
    if (this.isAwaited) return
    req.removeAllListeners('end')
    req.on('end', startNextRound)
  }

  /** Starts over for the next reader. Without one the body flows to nobody where its end is awaited. */
  private rewind(): void {
    this.renew()
    if (this.isAwaited) this.source.req.resume()
    this.source.readerIsDone(false)
  }

  /** Makes the request look unread, with what fits already in its buffer. */
  renew(): void {
    const { req } = this.source
    this.source.readers.note(this)
    replaceMethods(req)
    renewReadableState(req)
    setBodySource(req, this.source)
    if (req._body === true) req._body = false
    this.position = 0
    this.ended = false
    this.wanting = true
    feed(this, this.source)
  }
}

/** Why the body can no longer be had: somebody has read it, or its client left before anybody did. */
function lossOf({ _readableState }: ParsedRequest): ErrorCode | undefined {
  const { dataEmitted, endEmitted, encoding, destroyed } = _readableState
  if (dataEmitted || encoding !== null || (destroyed && endEmitted)) return 'ERR_SLUICEWAY_BODY_ALREADY_READ'
  return destroyed ? 'ERR_SLUICEWAY_BODY_ABORTED' : undefined
}

function replayOf(req: ParsedRequest): RequestReplay {
  return findBodySource(req)!.replay!
}

function startNextRound(this: ParsedRequest): void {
  replayOf(this).next()
}

function emitClose(req: ParsedRequest): void {
  req.emit('close')
}
