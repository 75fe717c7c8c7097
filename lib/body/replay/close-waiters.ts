import { forgetRequest } from '../../node/connection/parser.js'
import type { ParsedRequest } from '../../node/internals.js'
import { hasConnection, isHttp2, wasReset } from '../../node/request/facts.js'
import { isAwaited } from '../../node/streams/awaited-listener.js'
import { dropListeners, hasListeners } from '../../node/streams/listeners.js'
import { whileEnded } from '../../node/streams/state.js'
import { timers } from '../../node/timers.js'
import type { BodyExchange } from '../views.js'

export type Listener = (...args: unknown[]) => void

/** A listener as a stream holds it: that of `once` in a wrapper. */
type HeldListener = Listener & { readonly listener?: Listener }

/**
 * The place where a body was read to its end: on the request, from a stream in its place, beside it, or before us, so
 * that Node has closed it.
 */
export type PlaceOfReading = 'here' | 'instead' | 'beside' | 'before'

/** The request as `CloseWaiters` sees it. */
interface WaitedRequest {
  readonly req: ParsedRequest
  readonly body: BodyExchange
  /** True once any code has begun to read the request. */
  readonly wasBegun: boolean
  /** True while a reader is in the middle of it, or about to begin. */
  readonly readsRequest: boolean
  /** True while its reader works on what it has read, and has no listener. */
  readonly isBetweenReads: boolean
  /** True once the request was closed for good. */
  readonly hasClosed: boolean
  /** False once the body has failed, or the exchange is over: its listeners are told otherwise. */
  readonly isReadable: boolean
  /** The listeners for 'end', without the one of the rounds. */
  readonly endListeners: readonly Listener[]
}

/**
 * Tells code that waits for the end of a request that its body was read: `once(req, 'close')`, `finished(req)` and
 * on-finished. Node closes a request after its body; ours stays open for further readers, and code that holds the
 * response back until 'close' would wait for ever.
 *
 *     the body is read ──two ticks──▶ each listener for 'close' is told, and removed
 *     `await once(req, 'close')`, `finished(req)` or on-finished later ──one tick──▶ the same
 *     any listener of code that has just asked for `closed`, which Node answers with true ─────▶ the same
 *     any other listener later ──▶ waits for the client to leave: Node has emitted 'close' by then
 *
 * A reader of the next round also listens for 'close', to see the request fail. It is told after its own round.
 *
 *     the response is over ── the rest was received, or the connection closed ──▶ all that are left are told
 */
export class CloseWaiters {
  private readonly request: WaitedRequest
  /** True once the body was read to its end. */
  private isOver = false
  private isDue = false
  /** True in a turn in which code was told that the request is not closed, where Node has closed it. */
  private wasAsked = false
  /** The listeners for 'close' that were added in such turns, and have not been told yet. */
  private askers: unknown[] = []
  /** Tells the listeners that are left after the response; set while the rest of the body may still come. */
  private tellLast: (() => void) | undefined

  constructor(request: WaitedRequest) {
    this.request = request
  }

  /**
   * Notes that the body was read to its end. As in Node, 'close' comes two ticks after 'end'. An active reader of the
   * request also listens for 'close', and would give up at it: its own end tells the others.
   */
  bodyWasRead(where: PlaceOfReading): void {
    const { req } = this.request
    if (where === 'here' && this.wasTakenByNobody) return
    this.isOver = true
    // Node itself has told all code that has waited for 'close' so far.
    if (where === 'before') return dropListeners(req, 'close')
    if (where === 'instead' && this.request.readsRequest) return
    if (where === 'beside') {
      if (this.isRead) return
      this.tellEndSoon()
    }
    // Over HTTP/2, Node itself closes a request with its stream, and not before. Listeners may still come in these ticks.
    if (!isHttp2(req)) timers.nextTick(waitOneTick, this, req.rawListeners('close'))
  }

  /**
   * True if the body was read again without any reader. Node's own loop over a request without a body does so: told of
   * 'close', it calls `read()` once more, and the code behind it listens for the client that leaves by then.
   */
  private get wasTakenByNobody(): boolean {
    return this.areDone && this.request.endListeners.length === 0
  }

  /**
   * Called when a loop over the request has left it before its end. Node destroys the request then, and a promise of
   * its 'end' is rejected; here the body is discarded for it, unless the next reader comes first.
   */
  readerLeft(): void {
    timers.nextTick(() => {
      const { req, hasClosed, isReadable, endListeners } = this.request
      if (!hasClosed && isReadable && !this.isRead && endListeners.some(isAwaited)) req.resume()
    })
  }

  /** True once the body was read to its end, while nobody reads it again. */
  get areDone(): boolean {
    return this.isOver && !this.isRead
  }

  /**
   * Called when code has asked whether the request is closed, and was told that it is not. graphql-upload 17 does so
   * before it waits for 'close'.
   */
  asked(): void {
    if (this.wasAsked || !this.areDone) return
    this.wasAsked = true
    timers.nextTick(() => {
      this.wasAsked = false
    })
  }

  /** Called before a listener is added. */
  admit(event: string | symbol, listener: Listener): void {
    if (event === 'close' && this.wasAsked) this.askers.push(listener)
    if (!this.isOver || this.isDue || (event !== 'close' && event !== 'finish')) return
    this.isDue = true
    timers.nextTick(() => {
      this.isDue = false
      this.tellLate()
    })
  }

  private tellLate(): void {
    const { req } = this.request
    const askers = this.askers.splice(0)
    if (this.isRead) return
    // `finished` waits for 'end' too. Over HTTP/2, Node tells it of this event before the request is closed.
    this.tellEnd(this.request.endListeners)
    if (!isHttp2(req)) this.tellAwaiting(askers)
    // Only on-finished listens for 'finish' of a request.
    req.emit('finish')
  }

  /**
   * Tells promises of 'close', and code that has asked. Other code that begins to listen now wants to know whether the
   * client leaves.
   */
  private tellAwaiting(askers: readonly unknown[]): void {
    const { req, hasClosed, isReadable } = this.request
    if (hasClosed || !isReadable) return
    const waits = (held: HeldListener): boolean => isAwaited(held) || askers.includes(held.listener ?? held)
    this.call('close', (req.rawListeners('close') as HeldListener[]).filter(waits))
  }

  /**
   * Called when the response is over. As in Node, a request that nobody has read closes when its body was discarded:
   * code takes a 'close' before the end for a client that has left, and multer calls `next` again.
   */
  responseIsOver(): void {
    const { req, body, wasBegun } = this.request
    // One listener for 'end' is that of the rounds.
    if (req.listenerCount('close') === 0 && req.listenerCount('end') <= 1) return
    const { socket } = body
    const isUnread = !this.isOver && !wasBegun && !this.isRead
    const tellSoon = (): void => timers.nextTick(() => this.tellRemaining(isUnread))
    // The socket of a function adapter may be a plain object, without listeners.
    if (req.complete || socket.destroyed || !hasConnection(req)) return tellSoon()
    const tellLast = (): void => {
      this.tellLast = undefined
      socket.off('close', tellLast)
      tellSoon()
    }
    this.tellLast = tellLast
    socket.on('close', tellLast)
  }

  /**
   * Called when the stream of a request over HTTP/2 is over. Node emits 'close' on the request, lets it flow if nobody
   * has read it, and so emits 'end'.
   */
  streamIsOver(): void {
    const { req, wasBegun, endListeners } = this.request
    const isUnread = !this.isOver && !wasBegun && !hasListeners(req)
    if (endListeners.length > 0 && isUnread && !wasReset(req))
      timers.nextTick(() => this.call('end', endListeners))
  }

  /** Called when the client has sent the rest of a body whose response is over. */
  restReceived(): void {
    const { req, body } = this.request
    forgetRequest(body.socket, req)
    this.tellLast?.()
  }

  private tellRemaining(isUnread: boolean): void {
    const { req, hasClosed, endListeners } = this.request
    if (hasClosed) return
    if (!req.complete) return void req.emit('close')
    if (isUnread) this.call('end', endListeners)
    this.call('close', req.rawListeners('close') as Listener[])
  }

  private tellEndSoon(): void {
    const { endListeners } = this.request
    if (endListeners.length > 0) timers.nextTick(() => this.tellEnd(endListeners))
  }

  /**
   * Tells code that has waited for the end: a stream beside the request had the whole body. A later reader has its own
   * end.
   */
  private tellEnd(waiting: readonly Listener[]): void {
    const { hasClosed, isReadable } = this.request
    if (hasClosed || !isReadable || this.isRead) return
    this.call('end', waiting)
  }

  /**
   * True while the request has a reader. Without one, a listener waits for the end of the request, not of a reading.
   */
  private get isRead(): boolean {
    const { req, isBetweenReads } = this.request
    return hasListeners(req) || req.readableFlowing === true || isBetweenReads
  }

  tell(waiting: readonly Listener[]): void {
    const { req, hasClosed, isReadable } = this.request
    if (hasClosed || !isReadable) return
    this.call('close', this.isRead ? waiting : (req.rawListeners('close') as Listener[]))
  }

  /** Calls and removes those of the listeners that are still there. */
  private call(event: 'close' | 'end', listeners: readonly Listener[]): void {
    const { req } = this.request
    const present = req.rawListeners(event) as Listener[]
    const told = listeners.filter((listener) => present.includes(listener))
    whileEnded(req, () => {
      for (const listener of told) {
        req.off(event, listener)
        listener.call(req)
      }
    })
  }
}

function waitOneTick(waiters: CloseWaiters, waiting: readonly Listener[]): void {
  timers.nextTick(tell, waiters, waiting)
}

function tell(waiters: CloseWaiters, waiting: readonly Listener[]): void {
  waiters.tell(waiting)
}
