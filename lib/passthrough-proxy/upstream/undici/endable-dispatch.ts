import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { timers } from '../../../node/timers.js'
import { HEADERS_TIMEOUT } from '../messages.js'
import { isRepeatable } from '../repeatable.js'
import type { Attempt, Failure, Receiver, UpstreamRequest } from '../upstream.js'
import { dispatchedBody, type DispatchedBody } from './dispatch-options.js'
import type { Dispatcher } from './dispatcher.js'
import { failureOf, isGoAway, isRefusal } from './failures.js'
import type { HeadTimer, TimedRequest } from './head-timer.js'
import type { Queue } from './queues.js'
import { ShieldedBody } from './shielded-body.js'
import type { PausedEnd } from './sockets.js'

/**
 * The number of times that a request which reached no server is sent again: a balanced pool may have another
 * upstream.
 */
const MAX_RETRIES = 3

/**
 * - `queued`: undici has the request, and no connection for it.
 * - `connected`: it is being sent.
 * - `heard`: the first byte of a response has arrived.
 * - `answered`: the receiver has the final head.
 * - `over`: the receiver is told nothing more, even if undici reports further events.
 */
type Stage = 'queued' | 'connected' | 'heard' | 'answered' | 'over'

/**
 * One request through a dispatcher, and the ways in which it ends. `Dispatched` adds the events of undici that lead there.
 *
 *     finish     the response has ended
 *     fail       undici has reported a failure
 *     breakOff   another failure: the request is aborted too
 *     abandon    the receiver needs nothing more, and is told nothing
 *     retry      no server has seen the request, which is dispatched again
 */
export abstract class EndableDispatch implements Attempt, TimedRequest {
  protected readonly request: UpstreamRequest
  protected readonly receiver: Receiver
  protected readonly dispatcher: Dispatcher
  protected readonly body: DispatchedBody
  protected stage: Stage = 'queued'
  /** True if the response has a body that only the end of its connection ends. */
  protected isUnframed = false
  protected connectedAt = 0
  protected abortConnection: ((reason?: Error) => void) | undefined
  protected timer: HeadTimer | undefined
  protected socket: Socket | undefined
  protected pausedEnd: PausedEnd | undefined
  private readonly queue: Queue
  private holdsPlace = false
  private retries = 0

  constructor(request: UpstreamRequest, receiver: Receiver, dispatcher: Dispatcher, queue: Queue) {
    this.request = request
    this.receiver = receiver
    this.dispatcher = dispatcher
    this.queue = queue
    this.body = dispatchedBody(request)
  }

  /** Hands the request to undici, for the first time or again. */
  abstract dispatch(): void

  get bytesSent(): number {
    const { body } = this
    if (body instanceof ShieldedBody) return body.passed
    return body === null || this.connectedAt === 0 ? 0 : Buffer.byteLength(body as string | Buffer)
  }

  protected get isOver(): boolean {
    return this.stage === 'over'
  }

  /** True while the body of the request is being sent. */
  get isBeingSent(): boolean {
    return (this.request.body as Partial<Readable> | null)?.readableEnded === false
  }

  /** Takes a place in the queue. */
  protected joinQueue(): void {
    this.holdsPlace = true
    this.queue.waiting += 1
  }

  /** Frees the place in the queue. An interceptor that answers by itself may begin with the head. */
  protected leaveQueue(): void {
    if (!this.holdsPlace) return
    this.holdsPlace = false
    this.queue.waiting -= 1
  }

  protected finish(trailers: string[]): void {
    if (this.isOver) return
    if (this.isCut) return this.fail(failureOf(this.socket?.errored as Error, true))
    this.end()
    this.receiver.onEnd(trailers)
  }

  /**
   * True if undici takes a reset for the end of a body without framing. A server also resets a connection if it leaves a
   * part of the request unread; its answer counts.
   */
  private get isCut(): boolean {
    return this.isUnframed && this.socket?.errored != null && !this.isBeingSent
  }

  protected fail(failure: Failure): void {
    if (this.isOver) return
    this.end()
    this.receiver.onFailure(failure)
  }

  protected breakOff(failure: Failure): void {
    if (this.isOver) return
    this.fail(failure)
    this.abortConnection?.()
  }

  /** Ends the request because the dispatcher itself has failed. */
  protected break(cause: unknown): void {
    this.leaveQueue()
    this.breakOff({ kind: 'broken', maybeHeard: this.stage !== 'queued', cause })
  }

  timeOut(): void {
    this.breakOff({ kind: 'timeout', message: HEADERS_TIMEOUT, maybeHeard: true, cause: undefined })
  }

  abandon(): void {
    if (this.isOver) return
    this.end()
    this.abortConnection?.()
  }

  /** Tells whether the request can be sent again because no server has seen it. */
  protected mayRetry(error: Error): boolean {
    // No byte was sent, and a balanced pool may have another upstream.
    if (this.stage === 'queued') {
      return this.retries < MAX_RETRIES && isRefusal(error)
    }
    return this.stage === 'connected' && isGoAway(error) && this.retries === 0 && isRepeatable(this.request)
  }

  protected retry(): void {
    this.retries += 1
    this.stage = 'queued'
    this.abortConnection = undefined
    // By then a balanced pool has noticed the failure too.
    timers.nextTick(dispatch, this)
  }

  protected end(): void {
    this.stage = 'over'
    this.timer?.end()
    this.pausedEnd?.forget()
    // The rest of the body belongs to the client's connection.
    if (this.body instanceof ShieldedBody) this.body.destroy()
  }
}

function dispatch(dispatched: EndableDispatch): void {
  dispatched.dispatch()
}
