import type { Socket } from 'node:net'
import type { Duplex, Readable } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { timers } from '../../../node/timers.js'
import { hasNoBody } from '../../../shared/response-facts.js'
import { InterimLimit } from '../interim-limit.js'
import { HEADERS_TIMEOUT, TOO_MANY_INTERIM } from '../messages.js'
import { isRepeatable } from '../repeatable.js'
import type { Attempt, Failure, Receiver, Sending, UpstreamRequest } from '../upstream.js'
import { dispatchedBody, dispatchOptions, type DispatchedBody } from './dispatch-options.js'
import type { Dispatcher, Handler, RawPart } from './dispatcher.js'
import {
  cameOverHttp2,
  failureOf,
  isGoAway,
  isRefusal,
  secondHead,
  trailersOverHttp2,
  upgradeOverHttp2,
} from './failures.js'
import { HeadTimer, type TimedRequest } from './head-timer.js'
import { isFramed, phraseBytes, phraseOf, textLines } from './lines.js'
import type { Queue } from './queues.js'
import { ShieldedBody } from './shielded-body.js'
import { expectSocket, PausedEnd, type Sender } from './sockets.js'

/**
 * The number of times that a request which reached no server is sent again: a balanced pool may have another
 * upstream.
 */
const MAX_RETRIES = 3

const NOTHING = Buffer.alloc(0)

/**
 * - `queued`: undici has the request, and no connection for it.
 * - `connected`: it is being sent.
 * - `heard`: the first byte of a response has arrived.
 * - `answered`: the receiver has the final head.
 * - `over`: the receiver is told nothing more, even if undici reports further events.
 */
type Stage = 'queued' | 'connected' | 'heard' | 'answered' | 'over'

/** One request through a dispatcher: undici's handler on one side, the receiver's connection on the other. */
export class Dispatched implements Handler, Sending, Sender, Attempt, TimedRequest {
  private readonly request: UpstreamRequest
  private readonly receiver: Receiver
  private readonly dispatcher: Dispatcher
  private readonly queue: Queue
  private readonly body: DispatchedBody
  private stage: Stage = 'queued'
  private holdsPlace = false
  private isPaused = false
  private endsWithHead = false
  private isUnframed = false
  private retries = 0
  private connectedAt = 0
  private abortConnection: ((reason?: Error) => void) | undefined
  private resumeConnection: (() => void) | undefined
  private timer: HeadTimer | undefined
  protected socket: Socket | undefined
  private asserts = false
  private pausedEnd: PausedEnd | undefined
  private interim: InterimLimit | undefined

  constructor(request: UpstreamRequest, receiver: Receiver, dispatcher: Dispatcher, queue: Queue) {
    this.request = request
    this.receiver = receiver
    this.dispatcher = dispatcher
    this.queue = queue
    this.body = dispatchedBody(request)
  }

  /** Hands the request to undici, for the first time or again. */
  dispatch(): void {
    if (this.isOver) return
    this.holdsPlace = true
    this.queue.waiting += 1
    try {
      const result: unknown = this.dispatcher.dispatch(dispatchOptions(this.request, this.body), this)
      // Interceptors may be async functions, although they should not.
      if (typeof result === 'object') Promise.resolve(result).catch((cause: unknown) => this.break(cause))
    } catch (cause) {
      this.break(cause)
    }
  }

  get bytesSent(): number {
    const { body } = this
    if (body instanceof ShieldedBody) return body.passed
    return body === null || this.connectedAt === 0 ? 0 : Buffer.byteLength(body as string | Buffer)
  }

  abandon(): void {
    if (this.isOver) return
    this.end()
    this.abortConnection?.()
  }

  pause(): void {
    this.isPaused = true
    if (this.socket === undefined || this.isOver) return
    this.pausedEnd ??= new PausedEnd(this.socket, () => this.resume(), this.asserts)
  }

  resume(): void {
    this.isPaused = false
    this.resumeConnection?.()
  }

  onConnect(abort: (reason?: Error) => void): void {
    this.leaveQueue()
    // This throws instead of aborting, which would cost the connection.
    if (this.isOver) throw new Error('the client has left')
    this.stage = 'connected'
    this.connectedAt = timers.now()
    this.abortConnection = abort
    this.receiver.onSending(this)
    expectSocket(this)
  }

  onSocket(socket: Socket, asserts: boolean): void {
    this.socket = socket
    this.asserts = asserts
  }

  onResponseStarted(): void {
    if (!this.isOver) this.stage = 'heard'
  }

  onHeaders(status: number, raw: readonly RawPart[], resume: () => void, reason: string): boolean {
    this.leaveQueue()
    if (this.isOver) return false
    this.resumeConnection = resume
    this.takeHead(status, reason, textLines(raw))
    return this.isReading
  }

  onData(chunk: Buffer): boolean {
    // When undici 7's parser goes on, it may emit an empty chunk.
    if (chunk.length === 0) return this.isReading
    if (!this.isOver) this.receiver.onBody(chunk)
    this.endRead()
    return this.isReading
  }

  onComplete(trailers: readonly RawPart[] | null): void {
    if (cameOverHttp2(trailers)) this.fail(trailersOverHttp2)
    else this.finish(Array.isArray(trailers) ? textLines(trailers as readonly RawPart[]) : [])
  }

  onUpgrade(status: number, raw: readonly RawPart[] | null, socket: Duplex): void {
    this.takeUpgrade(status, textLines(raw ?? []), socket)
  }

  onError(error: Error): void {
    this.leaveQueue()
    if (this.isOver) return
    // The client has its whole answer, so an error of the connection does not matter.
    if (this.stage === 'answered' && this.endsWithHead) this.finish([])
    else if (this.mayRetry(error)) this.retry()
    else this.fail(failureOf(error, this.stage !== 'queued'))
  }

  /** True while the body of the request is being sent. */
  get isBeingSent(): boolean {
    return (this.request.body as Partial<Readable> | null)?.readableEnded === false
  }

  timeOut(): void {
    this.breakOff({ kind: 'timeout', message: HEADERS_TIMEOUT, maybeHeard: true, cause: undefined })
  }

  /**
   * True if undici takes a reset for the end of a body without framing. A server also resets a connection if it leaves a
   * part of the request unread; its answer counts.
   */
  private get isCut(): boolean {
    return this.isUnframed && this.socket?.errored != null && !this.isBeingSent
  }

  protected get isOver(): boolean {
    return this.stage === 'over'
  }

  protected takeHead(status: number, reason: string | undefined, lines: string[]): void {
    if (this.stage === 'answered') return this.breakOff(secondHead)
    if (status < 200) return this.takeInformation(status, lines)
    this.stage = 'answered'
    this.timer?.end()
    this.endsWithHead = hasNoBody(this.request.method, status)
    this.isUnframed = !this.endsWithHead && !isFramed(lines)
    this.receiver.onHead(status, this.phraseFor(status, reason), lines)
    // undici may emit a part of the body in this tick, and does not report the end of a read.
    timers.nextTick(endRead, this)
  }

  /** Returns the phrase. HTTP/2 has none, and some dispatchers lose it; an HTTP/1.1 upstream may send an empty one. */
  private phraseFor(status: number, reason: string | undefined): string {
    const isHttp2 = (this.socket as Partial<TLSSocket> | undefined)?.alpnProtocol === 'h2'
    const isAbsent = reason === undefined || (reason === '' && isHttp2)
    return isAbsent ? phraseOf(status) : phraseBytes(reason)
  }

  endRead(): void {
    if (!this.isOver) this.receiver.onReadOver()
  }

  protected takeUpgrade(status: number, lines: string[], socket: Duplex): void {
    this.leaveQueue()
    if (this.isOver || status !== 101) socket.destroy()
    if (this.isOver) return
    if (status !== 101) return this.fail(upgradeOverHttp2())
    this.end()
    this.receiver.onUpgraded(lines, socket, NOTHING)
  }

  protected finish(trailers: string[]): void {
    if (this.isOver) return
    if (this.isCut) return this.fail(failureOf(this.socket?.errored as Error, true))
    this.end()
    this.receiver.onEnd(trailers)
  }

  protected fail(failure: Failure): void {
    if (this.isOver) return
    this.end()
    this.receiver.onFailure(failure)
  }

  private takeInformation(status: number, lines: string[]): void {
    const { headersTimeoutMs } = this.request
    this.stage = 'heard'
    this.timer ??= new HeadTimer(this, headersTimeoutMs, timers.now() - this.connectedAt)
    this.interim ??= new InterimLimit()
    if (this.interim.count(lines)) this.receiver.onInformation(status, lines)
    else this.breakOff({ kind: 'malformed', message: TOO_MANY_INTERIM, maybeHeard: true, cause: undefined })
  }

  /** Tells whether the request can be sent again because no server has seen it. */
  private mayRetry(error: Error): boolean {
    // No byte was sent, and a balanced pool may have another upstream.
    if (this.stage === 'queued') {
      return this.retries < MAX_RETRIES && isRefusal(error)
    }
    return this.stage === 'connected' && isGoAway(error) && this.retries === 0 && isRepeatable(this.request)
  }

  private retry(): void {
    this.retries += 1
    this.stage = 'queued'
    this.abortConnection = undefined
    // By then a balanced pool has noticed the failure too.
    timers.nextTick(dispatch, this)
  }

  /** Ends the request because the dispatcher itself has failed. */
  private break(cause: unknown): void {
    this.leaveQueue()
    this.breakOff({ kind: 'broken', maybeHeard: this.stage !== 'queued', cause })
  }

  private breakOff(failure: Failure): void {
    if (this.isOver) return
    this.fail(failure)
    this.abortConnection?.()
  }

  private get isReading(): boolean {
    return !this.isPaused && !this.isOver
  }

  private end(): void {
    this.stage = 'over'
    this.timer?.end()
    this.pausedEnd?.forget()
    // The rest of the body belongs to the client's connection.
    if (this.body instanceof ShieldedBody) this.body.destroy()
  }

  /** Frees the place in the queue. An interceptor that answers by itself may begin with the head. */
  protected leaveQueue(): void {
    if (!this.holdsPlace) return
    this.holdsPlace = false
    this.queue.waiting -= 1
  }
}

function dispatch(dispatched: Dispatched): void {
  dispatched.dispatch()
}

function endRead(dispatched: Dispatched): void {
  dispatched.endRead()
}
