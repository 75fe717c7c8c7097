import { Readable, type Writable } from 'node:stream'
import { keepListeners } from '../../node/connection.js'
import type { OutgoingResponse, ParsedRequest } from '../../node/internals.js'
import { forgetRequest } from '../../node/parser.js'
import { isHttp2 } from '../../node/request-facts.js'
import {
  forgetDestruction,
  hasListeners,
  pretendEnded,
  readableStateOf,
  restoreSocket,
  sourceOf,
} from '../../node/stream-state.js'
import type { ErrorCode, SluicewayError } from '../../shared/errors.js'
import type { BodyStore } from '../kept/store.js'
import type { ReplayedBody } from '../owner.js'
import { CloseWaiters } from './close-waiters.js'
import { admitOverlappingReaders, admitReaders, type OverlappedRound } from './overlapping-readers.js'
import { RequestReader } from './request-reader.js'
import { StandIn } from './stand-in.js'
import { givenUpRound, tellRound, type ToldRound } from './told-round.js'

/**
 * - `unread`: the request looks as new.
 * - `reading`: it has a listener, or has had one in this round.
 * - `discarding`: it flows without a listener. The next reader has the body from its start.
 * - `telling`: the body has failed, and the readers of this round are being told.
 *
 *     unread ── no listener ──────▶ discarding ──┐
 *       ▲ └──── a listener ───────▶ reading ─────┤
 *       │                             │ ▲        │
 *       │                             │ └────────┘  a listener
 *       ├── 'end', given up, set aside ──────────┤
 *       └── told ◀── telling ◀── the body fails ─┘
 *
 * A reader that is set aside goes on from a stream of its own while the next round begins; the request is
 * `awaited` then, until a round ends with the body.
 */
type RoundState = 'unread' | 'reading' | 'discarding' | 'telling'

/**
 * Makes a request readable again in place, any number of times, by anything that can read a stream.
 *
 * Each reading is a round. It ends when its reader has had the end of the body, has given up, or was told that the
 * body failed; then the request gets a fresh stream state and looks as new. docs/behaviour.md
 * tells for each rule in here which consumer made it necessary.
 */
export class Rounds extends RequestReader implements ToldRound, OverlappedRound {
  encoding: BufferEncoding | null = null
  destinations: readonly Writable[] = []
  hasClosed = false
  private state: RoundState = 'unread'
  /** True while a reader that was set aside waits for the end of a round. */
  private isAwaited = false
  /** True once a round had the whole body, or an iterator was done with it. */
  private wasRead = false
  private readonly closeWaiters = new CloseWaiters(this)

  constructor(body: ReplayedBody, nativePush: ParsedRequest['push']) {
    super(body, nativePush)
    const { req } = this
    req.prependListener('end', startNextRound)
    admitOverlappingReaders(req)
  }

  get res(): OutgoingResponse {
    return this.body.res
  }

  /** Moves what the request has buffered so far to the store, or tells why the body cannot be kept. */
  takeBuffered(store: BodyStore): ErrorCode | undefined {
    const { req } = this
    const lost = lossOf(req)
    if (lost !== undefined) return this.takeRawBody(store) ? undefined : lost
    const { length } = readableStateOf(req)
    if (length > 0) store.append(req.read(length) as Buffer)
    // A request as new as the middleware usually finds it needs nothing more.
    if (length > 0 || this.body.state === 'whole') this.renew()
    return undefined
  }

  private takeRawBody(store: BodyStore): boolean {
    // An iterator that has read a request to its end leaves its listener for 'readable' on it.
    this.dropReaders()
    const rawBody = rawBodyOf(this.req)
    if (rawBody === undefined) return false
    store.append(rawBody)
    this.body.hasComeWhole()
    this.bodyWasRead(readableStateOf(this.req).closeEmitted ? 'before' : 'here')
    this.renew()
    return true
  }

  flow(): void {
    const { req } = this
    if (req.listenerCount('data') === 0) this.enter('discarding')
    else {
      this.enter('reading')
      this.encoding = req.readableEncoding
    }
    this.destinations = readableStateOf(req).pipes.slice()
  }

  takeUp(): boolean {
    const wasDiscarded = this.state === 'discarding'
    this.enter('reading')
    return wasDiscarded
  }

  setAside(): StandIn {
    const rest = new StandIn(this.body, this)
    rest.position = this.position - this.req.readableLength
    this.isAwaited = true
    return rest
  }

  /** Tells the readers that the body failed. Without a reader the next one is told. */
  fail(error: SluicewayError): void {
    // Of a body that was read before us, a reader that begins at once must not find the end, but the error.
    if (readableStateOf(this.req).endEmitted) this.renew()
    else if (this.isListenedTo) this.tell(error)
    else process.nextTick(() => this.endRound())
  }

  /** Starts the round after one that had the whole body: called as the first listener of its 'end'. */
  next(): void {
    this.noteReadToEnd()
    this.isAwaited = false
    this.dropReaders()
    this.renew()
    this.body.readerIsDone(true)
  }

  noteReadToEnd(): void {
    this.wasRead = true
    this.start = 0
    this.bodyWasRead()
  }

  /** Notes that the body was read to its end: on the request, beside it, or before us, so that Node has closed it. */
  bodyWasRead(where: 'here' | 'beside' | 'before' = 'here'): void {
    if (where === 'before') this.closeWaiters.haveBeenTold()
    else this.closeWaiters.bodyWasRead(where === 'beside')
    admitReaders(this.req)
  }

  admit(event: string | symbol): void {
    this.closeWaiters.admit(event)
  }

  /** The core's iterator would read on after 'end', into the next round; a stream of its own has no next round. */
  iterator(options?: { destroyOnReturn?: boolean }): AsyncIterableIterator<Buffer> {
    const rest = new StandIn(this.body, this)
    rest.position = this.start
    return options?.destroyOnReturn === false ? rest.beginning() : rest.iterator()
  }

  goOnAt(position: number): void {
    this.start = position
    this.renew()
  }

  /** Starts over for the next reader where one has paused and removed its listeners: it will not come back. */
  paused(): void {
    const { req } = this
    const isAbandoned = req.readableDidRead && !hasListeners(req)
    if (isAbandoned) this.rewind()
  }

  /** Keeps the request from holding the body, or the connection the request, once the response has ended. */
  release(): void {
    const { req } = this
    if (this.hasClosed) this.dropReaders()
    if (hasListeners(req)) this.failRound()
    else if (this.state !== 'telling') this.renew()
    keepListeners(req)
    forgetRequest(this.body.socket, req)
    // Over HTTP/2, Node emits 'close' with the end of the stream, however much was read.
    const isClosing = this.hasClosed || req.destroyed || isHttp2(req)
    if (req.listenerCount('close') > 0 && !isClosing) process.nextTick(emitClose, req)
  }

  /**
   * Stream internals and HTTP clients take the socket away before they destroy a request they were reading, and mean
   * only their reading of it; that must not cost the client its answer. Any other call cuts the connection, as in Node,
   * unless the body has been read to its end.
   */
  destroy(error: Error | undefined): void {
    const { req, body } = this
    const isByReader = restoreSocket(req, body.socket)
    if (!body.socket.destroyed && (isByReader || this.wasRead)) this.giveUp(error)
    else this.close(error)
  }

  /** Ends a round whose reader gave up, and lets that reader know as a destroyed stream would. */
  private giveUp(error: Error | undefined): void {
    const { req } = this
    const tellRest = givenUpRound(req, error)
    this.dropReaders()
    this.rewind()
    process.nextTick(() => {
      tellRest()
      // The reader marks it behind its own destroy(), as it does not look destroyed.
      forgetDestruction(req)
    })
  }

  /** Destroys the request for good: the client has gone, or the application wants the connection cut. */
  private close(error: Error | undefined): void {
    // Node destroys the request of a connection that ends, also where the application has done so before.
    if (this.hasClosed) return
    const { req, body } = this
    const clientHadSentAll = req.complete && body.socket.destroyed
    // No 'aborted': nothing of the body is missing. A stream that has ended is closed quietly.
    if (clientHadSentAll) pretendEnded(req)
    this.hasClosed = true
    body.abort(error)
    Readable.prototype.destroy.call(req, clientHadSentAll ? undefined : error)
    // A response whose connection the application has taken over never closes, nor does one that is over.
    if (body.res.socket === null) body.release()
  }

  private get isListenedTo(): boolean {
    return hasListeners(this.req) || (!this.hasClosed && this.req.listenerCount('error') > 0)
  }

  /** Behind the response, code that only throws the body away is told nothing, as after `pause()` in the last of its data. */
  protected failRound(): void {
    const isTold = this.body.state === 'released' ? hasListeners(this.req) : this.isListenedTo
    const failure = isTold ? this.body.failure : undefined
    if (failure === undefined) this.endRound()
    else this.tell(failure)
  }

  /** Starts over after a failure. */
  endRound(): void {
    this.state = 'unread'
    this.renew()
    // body-parser and finalhandler read a request to its end before they go on; on-finished takes this for the end.
    this.req.emit('finish')
  }

  private tell(error: SluicewayError): void {
    if (this.state === 'telling') return
    this.state = 'telling'
    tellRound(this, error)
  }

  /** Listeners of one round must not see the next: they would parse, write or call back twice. */
  dropReaders(): void {
    const { req } = this
    for (const event of ['data', 'readable']) {
      if (req.listenerCount(event) > 0) req.removeAllListeners(event)
    }
    if (this.isAwaited) return
    req.removeAllListeners('end')
    req.on('end', startNextRound)
  }

  /** Starts over for the next reader. Without one the body is discarded where its end is awaited. */
  protected rewind(): void {
    this.start = 0
    this.renew()
    if (this.isAwaited) this.req.resume()
    this.body.readerIsDone(false)
  }

  override renew(): void {
    this.enter('unread')
    super.renew()
  }

  /** While readers are told that the body has failed, whatever else happens to the request begins nothing. */
  private enter(state: RoundState): void {
    if (this.state !== 'telling') this.state = state
  }
}

/** Why a body can no longer be had: it has been read, or its client left before that. */
function lossOf(req: ParsedRequest): ErrorCode | undefined {
  const { dataEmitted, endEmitted, encoding, destroyed } = readableStateOf(req)
  if (dataEmitted || encoding !== null || (destroyed && endEmitted)) return 'ERR_SLUICEWAY_BODY_ALREADY_READ'
  return destroyed ? 'ERR_SLUICEWAY_BODY_ABORTED' : undefined
}

/** What a host such as Cloud Functions has read before us and left as `req.rawBody`. */
function rawBodyOf(req: ParsedRequest & { readonly rawBody?: unknown }): Buffer | undefined {
  return Buffer.isBuffer(req.rawBody) ? req.rawBody : undefined
}

function startNextRound(this: ParsedRequest): void {
  ;(sourceOf(this) as { readonly replay: Rounds }).replay.next()
}

function emitClose(req: ParsedRequest): void {
  req.emit('close')
}
