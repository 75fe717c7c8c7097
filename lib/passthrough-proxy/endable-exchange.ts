import type { IncomingMessage, ServerResponse } from 'node:http'
import { isClosed, onResponseClose } from '../node/response/close.js'
import { isProxyObserved } from '../shared/channels.js'
import type { SluicewayError } from '../shared/errors.js'
import type { ProxyOutcome } from '../shared/messages.js'
import type { ExchangeState } from './exchange-state.js'
import { proxyClosed, type Stoppable } from './progress.js'
import type { GivenNext } from './proxy-handler.js'
import { isBodyRead, noteLeft, releaseBody } from './request/sent-body.js'
import type { SentRequest } from './request/sent-request.js'
import { Answer, type AnswerOwner } from './response/answer.js'
import type { BodyReceiver } from './response/body-receiver.js'
import { DiscardedBody } from './response/discarded-body.js'
import type { ProxySettings } from './settings.js'
import { tellError } from './tell-error.js'
import { Trace } from './trace.js'
import { answerError, closedEarly, hookedBy, type Hooked } from './upstream-errors.js'
import type { Attempt, Sending } from './upstream/upstream.js'

/**
 * An exchange, and the ways in which it ends. `Exchange` adds the events that lead there.
 *
 *     answered   the answer has ended
 *     fail       an error goes to `next`; if the answer has begun, it is cut
 *     breakOff   the same for an exception while the answer is written, and the upstream is left
 *     stop       the same because the proxy is being destroyed
 *     abandon    no error: the client has left, or another handler answers
 *
 * A tunnel takes over what is left of its exchange (`onJoined`).
 */
export abstract class EndableExchange implements AnswerOwner, Stoppable {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly next: GivenNext
  readonly settings: ProxySettings
  readonly answer: Answer
  /** Receives the body of the response: the answer, or a body that a hook changes. */
  protected receiver: BodyReceiver
  protected state: ExchangeState
  protected sent: SentRequest | undefined
  protected attempt: Attempt | undefined
  protected sending: Sending | undefined
  /** Discards the rest of a response that is no longer needed. */
  protected rest: DiscardedBody | undefined
  /** Prepares the request for another target; undefined if there is only one. */
  startOver: ((error: SluicewayError) => void) | undefined
  /** Called once when the exchange, or the attempt to reach a target, is over. */
  whenOver: (() => void) | undefined
  /** Publishes the events of the request; undefined without subscribers. */
  readonly trace: Trace | undefined
  before: Stoppable | undefined
  after: Stoppable | undefined
  isListed = false
  // A closure: up to Node 22, a property of the response that leads to the exchange would cost a hidden class.
  protected readonly abandonWithResponse = (): void => this.abandon()

  constructor(req: IncomingMessage, res: ServerResponse, next: GivenNext, settings: ProxySettings) {
    this.req = req
    this.res = res
    this.next = next
    this.settings = settings
    this.answer = new Answer(this)
    this.receiver = this.answer
    onResponseClose(res, this.abandonWithResponse)
    // A client that has left gets no answer and sends no request.
    this.state = isClosed(res) ? 'over' : 'queued'
    if (!this.isOver) settings.progress.begin(this)
    this.trace = isProxyObserved() && !this.isOver ? new Trace(req, res) : undefined
  }

  answered(): void {
    if (this.isOver) return
    this.finish()
    this.tellFinished('answered')
    // A changed body may end before that of the upstream.
    if (this.receiver !== this.answer) this.leave(this.receiver.isReplaced === true)
  }

  /** Ends the exchange with an error: through the app's error handlers, or by a cut, unless the client has left. */
  fail(error: unknown): void {
    if (this.answer.isTaken || isClosed(this.res)) this.abandon()
    if (this.isOver) return
    this.finish(error)
    this.tellFinished('failed', error)
    this.res.off('close', this.abandonWithResponse)
    tellError(error, this)
  }

  /** Ends the exchange with an exception of the application, or of Node for bytes that the upstream sent. */
  breakOff(thrown: unknown): void {
    const isUnwanted = this.isUnwanted
    this.fail(answerError(thrown, this.hooked))
    this.leave(isUnwanted)
  }

  /** Ends the exchange because the client has left, or another handler has ended the response. */
  abandon(): void {
    if (this.isOver) return
    const isUnwanted = this.isUnwanted && this.answer.isTaken
    this.finish(closedEarly())
    this.tellFinished(this.answer.isTaken || this.res.writableEnded ? 'answered-here' : 'client-left')
    this.leave(isUnwanted)
    noteLeft(this.req)
  }

  /** Ends the exchange because the proxy is being destroyed. */
  stop(): void {
    this.fail(proxyClosed())
    this.leaveUpstream()
  }

  passDirectly(): void {
    this.receiver = this.answer.takeBack()
  }

  resumeUpstream(): void {
    if (!this.isOver) this.sending?.resume()
  }

  leaveUpstream(): void {
    this.attempt?.abandon()
  }

  discardUpstream(): void {
    // Until its upload has been sent, a client may not read.
    if (isBodyRead(this.sent)) this.leave(true)
  }

  /** True if the client gets no part of the response that has arrived. */
  private get isUnwanted(): boolean {
    return this.state === 'answering' && !this.answer.isBegun
  }

  /** Leaves the upstream. The connection of an unwanted response may serve another request. */
  private leave(isUnwanted: boolean): void {
    if (!isUnwanted || !isBodyRead(this.sent) || this.sending === undefined) return this.leaveUpstream()
    this.rest ??= new DiscardedBody(this, this.settings.progress)
    this.sending.resume()
  }

  get isOver(): boolean {
    return this.state === 'over'
  }

  /** True if the upstream's bytes are no longer for the client. */
  protected get isLeft(): boolean {
    return this.isOver || this.rest !== undefined
  }

  protected finish(reason?: unknown): void {
    this.state = 'over'
    if (this.receiver !== this.answer) this.answer.release(reason)
    releaseBody(this.sent, this.req)
    this.whenOver?.()
    this.settings.progress.end(this)
  }

  private tellFinished(outcome: ProxyOutcome, error?: unknown): void {
    this.trace?.finish(outcome, this.attempt?.bytesSent, error)
  }

  protected get hooked(): Hooked {
    return hookedBy(this.settings, this.trace?.hasChangedHead === true)
  }
}
