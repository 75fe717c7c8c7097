import { Readable } from 'node:stream'
import { forgetRequest } from '../../node/connection/parser.js'
import type { OutgoingResponse, ParsedRequest } from '../../node/internals.js'
import { isHttp2 } from '../../node/request/facts.js'
import { createSignal } from '../../node/request/signal.js'
import { destroyIfLeft } from '../../node/response/close.js'
import { keepListeners, dropListeners, hasListeners } from '../../node/streams/listeners.js'
import { addOwn, hasOwn, heldFor, listenersExcept } from '../../node/streams/own-listeners.js'
import {
  forgetDestruction,
  keepFlow,
  looksNew,
  pretendEnded,
  readableStateOf,
  rememberAbort,
  restoreSocket,
  sourceOf,
  takeBuffer,
} from '../../node/streams/state.js'
import { timers } from '../../node/timers.js'
import type { ErrorCode, SluicewayError } from '../../shared/errors.js'
import type { BodyStore } from '../kept/store.js'
import type { ReplayedBody } from '../views.js'
import { admitAfterClose } from './after-close.js'
import { CloseWaiters, type Listener, type PlaceOfReading } from './close-waiters.js'
import { cutOfStream, type FailedRound, tellFailure } from './failed-round.js'
import { dropLeftListeners, givenUpRound } from './left-listeners.js'
import { admitOverlappingReaders, admitReaders, type OverlappedRound } from './overlapping-readers.js'
import { bytesReadBefore, wasLeftUnread, wasReadBefore } from './read-before.js'
import { RequestReader } from './request-reader.js'
import type { RoundState } from './round-state.js'
import { StandIn } from './stand-in.js'

/**
 * Makes a request readable again in place, any number of times, by any code that reads a stream.
 *
 * Each reading is a round. It ends when its reader has had the end of the body, has given up, or was told that it failed;
 * then the request gets a fresh stream state and looks new. docs/behaviour.md names the readers behind each rule in here.
 */
export class Rounds extends RequestReader implements FailedRound, OverlappedRound {
  encoding: BufferEncoding | null = null
  hasClosed = false
  private state: RoundState = 'unread'
  /** True while a reader that was set aside waits for the end of a round. */
  private isAwaited = false
  /** True once a round, or before that a host, had the whole body, or an iterator was done with it. */
  private wasRead = false
  readonly closeWaiters: CloseWaiters = new CloseWaiters(this)

  constructor(body: ReplayedBody, nativePush: ParsedRequest['push']) {
    super(body, nativePush)
    this.listen()
  }

  /** Adds the listeners of the rounds, unless they are there. */
  listen(): void {
    if (!hasOwn(this.req, 'end', startNextRound)) addOwn(this.req, 'end', startNextRound, true)
    admitOverlappingReaders(this.req, this.hasFlowed || this.wasRead)
  }

  get res(): OutgoingResponse {
    return this.body.res
  }

  /** Moves the bytes that the request has buffered to the store, or returns why the body cannot be kept. */
  takeBuffered(store: BodyStore): ErrorCode | undefined {
    const { req } = this
    if (wasLeftUnread(req)) return 'ERR_SLUICEWAY_BODY_ABORTED'
    if (wasReadBefore(req)) return this.takeReadBody(store)
    const before = readableStateOf(req)
    if (before.destroyed) return 'ERR_SLUICEWAY_BODY_ABORTED'
    // The request is as new as the middleware usually finds it.
    if (before.length === 0 && this.body.state !== 'whole') return undefined
    if (before.length > 0) store.append(takeBuffer(req))
    keepFlow(req, () => this.renew())
    return undefined
  }

  /** Takes over a body that its host has read, whose listeners must not see the next round. */
  private takeReadBody(store: BodyStore): ErrorCode | undefined {
    const { endEmitted, closeEmitted } = readableStateOf(this.req)
    this.wasRead = endEmitted
    this.dropReaders()
    const bytes = bytesReadBefore(this.req)
    if (bytes === undefined) return 'ERR_SLUICEWAY_BODY_ALREADY_READ'
    if (bytes.length > 0) store.append(bytes)
    this.body.noteComplete()
    this.bodyWasRead(closeEmitted ? 'before' : 'here')
    this.renew()
    return undefined
  }

  flow(): void {
    const { req } = this
    if (req.listenerCount('data') === 0) this.enter('discarding')
    else {
      this.enter('reading')
      this.encoding = req.readableEncoding
    }
    this.hasFlowed = true
    this.hasPaused = false
    this.joined()
  }

  takeUp(): boolean {
    const wasDiscarded = this.state === 'discarding'
    this.enter('reading')
    return wasDiscarded
  }

  setAside(taken: number): StandIn {
    const rest = new StandIn(this.body, this)
    rest.position = taken
    this.isAwaited = true
    return rest
  }

  holdEndFor(rest: StandIn): void {
    // A pipe has taken its own end along: a destination that never reads must not keep other readers waiting.
    if (this.endListeners.length > 0) rest.whenLeft(this.holdEnd())
  }

  /** Tells the readers that the body failed. If there are none, the next reader is told. */
  fail(error: SluicewayError): void {
    if (this.isReplaced) return
    // A reader of a body that was read before us must get the error instead of the end.
    if (readableStateOf(this.req).endEmitted) this.renew()
    else if (this.isListenedTo) this.tell(error)
    else timers.nextTick(() => this.endRound())
  }

  /** Starts the round after one that had the whole body; called by the first listener of its 'end'. */
  next(): void {
    // The first reading leaves as many listeners behind as in Node.
    if (this.wasRead) dropLeftListeners(this.req)
    this.noteReadToEnd()
    this.isAwaited = false
    this.dropReaders()
    this.renew()
    this.body.readerIsDone(true)
  }

  noteReadToEnd(where: PlaceOfReading = 'here'): void {
    this.wasRead = true
    this.beginAtStart()
    this.bodyWasRead(where)
  }

  /** Notes that the body was read to its end. */
  bodyWasRead(where: PlaceOfReading): void {
    this.closeWaiters.bodyWasRead(where)
    admitReaders(this.req)
  }

  get endListeners(): readonly Listener[] {
    return listenersExcept(this.req, 'end', startNextRound)
  }

  /** Iterates over a stream of its own: Node's own iterator would read on after 'end', into the next round. */
  iterator(options?: { destroyOnReturn?: boolean }): AsyncIterableIterator<Buffer> {
    // Code that has only looked at the first bytes is done, and other code may wait for the end of the loop.
    if (this.isBetweenReads) this.takenAtLoop = this.taken
    const rest = new StandIn(this.body, this)
    rest.iterateFrom(this.start)
    if (rest.takeEncoding() && this.state === 'unread' && !hasListeners(this.req)) this.renew()
    return options?.destroyOnReturn === false ? rest.beginning() : rest.iterator()
  }

  goOnAt(position: number, encoding: BufferEncoding | null): void {
    if (hasListeners(this.req)) return // another reader is in the middle of its round
    this.start = position
    this.renew()
    if (encoding !== null) this.req.setEncoding(encoding)
  }

  /** Keeps the request from holding the body, and the connection from holding the request, after the response. */
  release(): void {
    const { req } = this
    if (this.isReplaced) return
    if (this.hasClosed) this.dropReaders()
    if (isHttp2(req)) {
      this.closeWaiters.streamIsOver()
      destroyIfLeft(this.res)
    }
    const cut = cutOfStream(this, this.body)
    if (hasListeners(req)) this.failRound()
    else if (cut !== undefined) this.tell(cut)
    else if (this.state !== 'telling' && !looksNew(req)) this.renew()
    keepListeners(req)
    forgetRequest(this.body.socket, req)
    const isClosing = this.hasClosed || req.destroyed || isHttp2(req)
    if (!isClosing) this.closeWaiters.responseIsOver()
  }

  /**
   * Serves `destroy`. Stream internals and HTTP clients take the socket away before they destroy a request that they
   * have read. They only want to end their reading, which must not cost the client its answer. Over HTTP/2 they only
   * pass an error, and Node cuts nothing. Any other call cuts the connection, as in Node, unless the body has been read
   * to its end, or was discarded after the response.
   */
  destroy(error: Error | undefined): void {
    const { req, body } = this
    const isByReader = restoreSocket(req, body.socket) || (error !== undefined && isHttp2(req))
    if (!body.socket.destroyed && (isByReader || this.wasRead)) this.giveUp(error)
    else this.close(error)
  }

  /** Ends a round whose reader gave up, and tells that reader so, as a destroyed stream would. */
  private giveUp(error: Error | undefined): void {
    const { req } = this
    const tellRest = givenUpRound(this, error)
    this.dropReaders()
    this.rewind()
    timers.nextTick(() => {
      tellRest()
      // The reader marks the request after its own destroy(), as it does not look destroyed.
      forgetDestruction(req)
    })
  }

  /** Destroys the request for good: the client has left, or the application wants to cut the connection. */
  private close(error: Error | undefined): void {
    // Node destroys the request of a connection that ends, even if the application has already done so.
    if (this.hasClosed || this.isOver) return
    const { req, body } = this
    // As in Node, a request that was read closes quietly; a reader that is in the middle of it is told.
    const isQuiet = req.complete && body.socket.destroyed && this.closeWaiters.areDone
    if (isQuiet) pretendEnded(req)
    else createSignal(req)
    this.hasClosed = true
    if (!this.wasRead) rememberAbort(req)
    body.abort(error)
    admitAfterClose(req)
    Readable.prototype.destroy.call(req, isQuiet ? undefined : error)
    // A response whose connection the application has taken over never closes, nor does one that is over.
    if (body.res.socket === null) body.release()
  }

  private get isListenedTo(): boolean {
    return hasListeners(this.req) || (!this.hasClosed && this.req.listenerCount('error') > 0)
  }

  /** Ends a round with the failure. After the response, code that only discards the body is told nothing. */
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
    // body-parser and finalhandler read a request to its end before they go on; on-finished treats this as the end.
    this.req.emit('finish')
  }

  private tell(error: SluicewayError): void {
    if (this.state === 'telling') return
    this.state = 'telling'
    tellFailure(this, error)
  }

  /** Removes the listeners of a round, which would parse, write or call back twice if they saw the next one. */
  dropReaders(): void {
    const { req } = this
    for (const event of ['data', 'readable']) dropListeners(req, event)
    if (this.isAwaited) return
    dropListeners(req, 'end', heldFor(req, startNextRound))
    if (req.listenerCount('end') === 0) addOwn(req, 'end', startNextRound)
  }

  /** Starts over for the next reader. Without one the body is discarded if code waits for its end. */
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

  /** Changes the state, but not while readers are told of a failure: other events must not begin a round then. */
  private enter(state: RoundState): void {
    if (this.state !== 'telling') this.state = state
  }
}

function startNextRound(this: ParsedRequest): void {
  const source = sourceOf(this) as { readonly replay: Rounds } | undefined
  source?.replay.next()
}
