import type { EventEmitter } from 'node:events'
import { Readable, type Writable } from 'node:stream'
import { type BodyReader, feed } from './body-reader.js'
import type { BodySource } from './body-source.js'
import type { BodyStore } from './body-store.js'
import { type ErrorCode, type SluicewayError, sluicewayError } from './errors.js'
import { admitLateReaders } from './late-readers.js'
import { type ParsedRequest, renewReadableState, STREAM_DESTROYED } from './node-internals.js'
import { nativeReadOf, replaceMethods } from './replayed-request.js'
import { isRead } from './request-readers.js'
import { findBodySource, setBodySource } from './sourced-request.js'

type Listener = (...args: unknown[]) => void

/**
 * Makes a request readable again in place, any number of times, by anything that can read a stream.
 *
 * Each reading is a round. It ends when its reader has had the end of the body, has given up, or was told that the
 * body failed; then the request gets a fresh stream state and looks as if nobody had read it yet. docs/behaviour.md
 * tells for each rule in here which consumer made it necessary.
 */
export class RequestReplay implements BodyReader {
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
    this.isAwaited = false
    this.dropReaders()
    this.renew()
  }

  /** Ends a round whose reader gave up, and lets that reader know as a destroyed stream would. */
  giveUp(error: Error | undefined): void {
    const { req } = this.source
    const { pipes } = req._readableState
    const errorListeners = req.rawListeners('error')
    const closeListeners = req.rawListeners('close')
    this.dropReaders()
    this.rewind()
    process.nextTick(() => {
      for (const destination of pipes) destination.emit('unpipe', req, { hasUnpiped: false })
      if (error !== undefined) for (const listener of errorListeners) listener.call(req, error)
      for (const listener of closeListeners) listener.call(req)
      // Whoever destroyed the request marks it after that, as it does not look destroyed.
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
    // A client that left has had it closed.
    const wasDestroyed = req.destroyed
    if (isRead(req)) this.failRound()
    else if (!this.isTelling) this.renew()
    // Otherwise Node reads the unread body to its end, to throw it away.
    req._consuming = true
    if (req.complete && socket.parser?.incoming === req) socket.parser.incoming = null
    const isClosing = wasDestroyed || req.destroyed
    if (req.listenerCount('close') > 0 && !isClosing) process.nextTick(emitClose, req)
  }

  /** Destroys the request for good: the client has gone, or the application wants the connection cut. */
  destroy(error: Error | undefined): void {
    const { source } = this
    const { req } = source
    const clientHadSentAll = req.complete
    if (clientHadSentAll) {
      // No 'aborted': nothing of the body is missing. A stream that has ended is closed quietly.
      req._readableState.endEmitted = true
    }
    source.abort(error)
    Readable.prototype.destroy.call(req, clientHadSentAll ? undefined : error)
    // A response whose connection the application has taken over never closes.
    if (source.res.socket === null) source.release()
  }

  private get isListenedTo(): boolean {
    const { req } = this.source
    return isRead(req) || req.listenerCount('error') > 0
  }

  private failRound(): void {
    const { failure } = this.isListenedTo ? this.source : { failure: undefined }
    if (failure === undefined) this.endRound()
    else this.tell(failure)
  }

  /** Starts over after a failure. */
  private endRound(): void {
    this.renew()
    // body-parser and finalhandler read a request to its end before they go on; on-finished takes this for the end.
    this.source.req.emit('finish')
  }

  /** Destroys this round with the error, as readers expect of a failing stream, and then starts the next. */
  private tell(error: SluicewayError): void {
    if (this.isTelling) return
    this.isTelling = true
    const { req } = this.source
    const { pipes } = req._readableState
    const told = req.listeners('error') as Listener[]
    // Who listens now may have left by the time the error is out, as undici does.
    req.on('error', ignore)
    req._destroy = destroyRound
    req.once('close', () => {
      this.isTelling = false
      // From here a client that leaves is Node's affair again: it tells of it only where somebody listens.
      Reflect.deleteProperty(req, '_destroy')
      this.dropReaders()
      req.removeAllListeners('error')
      req.removeAllListeners('close')
      for (const destination of pipes) this.failDestination(destination, error, told)
      this.endRound()
    })
    Readable.prototype.destroy.call(req, error)
  }

  /** A bare `pipe()` forwards no error: without this its destination would wait for ever. */
  private failDestination(destination: Writable, error: SluicewayError, told: readonly Listener[]): void {
    const { req, res } = this.source
    destination.emit('unpipe', req, { hasUnpiped: false })
    if (destination === res && !res.headersSent) return
    // http-proxy answers in one function for both streams, and would answer twice.
    for (const listener of told) destination.off('error', listener)
    destroyWithError(destination, error)
  }

  /** Listeners of one round must not see the next: they would parse, write or call back twice. */
  private dropReaders(): void {
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
  }

  /** Makes the request look unread, with what fits already in its buffer. */
  renew(): void {
    const { req } = this.source
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

/** Replaces `_destroy` where a round fails: nothing is aborted, and the connection lives until the answer is out. */
function destroyRound(
  this: ParsedRequest,
  error: Error | null,
  callback: (error?: Error | null) => void,
): void {
  process.nextTick(callback, error)
}

function ignore(): void {}

/**
 * Destroys a stream with an error that need not be heard. Its owner may listen for none, or drop the listeners before
 * the error is out, as multer 1 does with busboy: neither may end the process.
 */
function destroyWithError(destination: Writable, error: Error): void {
  const emit = destination.emit.bind(destination) as EventEmitter['emit']
  destination.emit = (event: string | symbol, ...args: unknown[]) => {
    const isUnheard = event === 'error' && destination.listenerCount('error') === 0
    return !isUnheard && emit(event, ...args)
  }
  destination.destroy(error)
}

function emitClose(req: ParsedRequest): void {
  req.emit('close')
}
