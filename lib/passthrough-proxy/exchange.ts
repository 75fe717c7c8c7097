import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { pendingUpgrade } from '../node/connection/pending-upgrade.js'
import { isClosed, onResponseClose } from '../node/response/close.js'
import { isProxyObserved } from '../shared/channels.js'
import type { SluicewayError } from '../shared/errors.js'
import type { ProxyOutcome } from '../shared/messages.js'
import { hasNoBody } from '../shared/response-facts.js'
import { mayGoElsewhere } from './attempts.js'
import type { ExchangeState } from './exchange-state.js'
import { requestBodyError } from './hooks.js'
import { proxyClosed, type Stoppable, type TunnelEnds } from './progress.js'
import type { GivenNext } from './proxy-handler.js'
import {
  errorOfBody,
  holdBody,
  isBodyRead,
  keepBody,
  noteLeft,
  onBodyError,
  releaseBody,
} from './request/sent-body.js'
import type { SentRequest } from './request/sent-request.js'
import { Answer, type AnswerOwner } from './response/answer.js'
import type { BodyReceiver } from './response/body-receiver.js'
import { DiscardedBody } from './response/discarded-body.js'
import { readResponseHeaders } from './response/headers.js'
import { switchedLines } from './response/switch-protocols.js'
import type { ProxySettings } from './settings.js'
import { tellError } from './tell-error.js'
import { Trace } from './trace.js'
import { tunnelAfterHead, type TunnelOwner } from './tunnel.js'
import { answerError, closedEarly, failureError, hookedBy, type Hooked } from './upstream-errors.js'
import type { Attempt, Failure, Receiver, Sending } from './upstream/upstream.js'

/** One request on its way to the upstream and back, in the order of events. */
export class Exchange implements Receiver, AnswerOwner, TunnelOwner, Stoppable {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly next: GivenNext
  readonly settings: ProxySettings
  readonly answer: Answer
  /** Receives the body of the response: the answer, or a body that a hook changes. */
  private receiver: BodyReceiver
  private state: ExchangeState
  private sent: SentRequest | undefined
  private attempt: Attempt | undefined
  private sending: Sending | undefined
  /** Discards the rest of a response that is no longer needed. */
  private rest: DiscardedBody | undefined
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
  private readonly abandonWithResponse = (): void => this.abandon()

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

  /** Hands the request to the upstream. */
  send(sent: SentRequest): void {
    onBodyError(sent, this.req, (error) => this.breakQueued(sent, error))
    if (this.isOver) return releaseBody(sent, this.req)
    this.sent = sent
    this.attempt = this.settings.upstream.send(sent, this)
    // Some upstreams answer before `send` returns.
    if (this.isOver) this.attempt.abandon()
    else if (this.state === 'queued' && this.sent === sent) holdBody(sent, this.req)
  }

  onSending(sending: Sending): void {
    this.state = 'sent'
    this.sent?.readEnd()
    if (this.sending !== undefined) this.trace?.sentAgain()
    this.sending = sending
  }

  onInformation(status: number, lines: string[]): void {
    if (this.answer.isTaken) return this.abandon()
    try {
      this.answer.inform(status, readResponseHeaders(lines).lines)
    } catch (error) {
      this.breakOff(error)
    }
  }

  onHead(status: number, reason: string, lines: string[]): void {
    if (this.answer.isTaken) return this.abandon()
    this.state = 'answering'
    this.trace?.head(status)
    const { target, method } = this.sent as SentRequest
    try {
      const headers = readResponseHeaders(lines)
      const endsWithHead = hasNoBody(method, status)
      this.receiver = this.answer.begin({ status, reason, headers, endsWithHead, target })
    } catch (error) {
      this.breakOff(error)
    }
  }

  onBody(chunk: Buffer): void {
    if (!this.isOver) this.trace?.receive(chunk.length)
    if (this.isLeft) return this.rest?.write(chunk)
    try {
      if (this.answer.isClosed) this.abandon()
      else this.receiver.write(chunk)
    } catch (error) {
      this.breakOff(error)
    }
  }

  onReadOver(): boolean {
    if (this.isLeft) return true
    try {
      if (!this.receiver.takesMore()) this.sending?.pause()
      return this.receiver.holdsChunks
    } catch (error) {
      this.breakOff(error)
      return true
    }
  }

  onEnd(trailers: string[], last?: Buffer): boolean {
    this.rest?.end()
    this.sending = undefined
    if (last !== undefined && !this.isOver) this.trace?.receive(last.length)
    if (this.isLeft) return true
    try {
      if (this.answer.isClosed) this.abandon()
      else if (this.receiver.end(trailers, last)) this.answered()
      return this.receiver.holdsChunks
    } catch (error) {
      this.breakOff(error)
      return true
    }
  }

  onUpgraded(lines: string[], connection: Duplex, early: Buffer): void {
    const pending = pendingUpgrade(this.req)
    // Another handler has the client's connection, or answers.
    if (pending === undefined || this.answer.isTaken) {
      connection.destroy()
      return this.abandon()
    }
    try {
      const { target, upgrade } = this.sent as SentRequest
      this.answer.upgrade(switchedLines(lines, upgrade), target)
      this.trace?.head(101)
      tunnelAfterHead(this.res, pending, connection, early, this)
    } catch (error) {
      connection.destroy()
      this.breakOff(error)
    }
  }

  onJoined(ends: TunnelEnds, early: Buffer): void {
    this.settings.progress.follow(ends)
    this.finish()
    this.res.off('close', this.abandonWithResponse) // the tunnel would hold all this
    this.trace?.follow(ends, early)
  }

  onFailure(failure: Failure): void {
    this.rest?.end()
    // The client gets the body of a hook, which needs nothing more of the upstream.
    if (this.isLeft || this.receiver.isReplaced === true) return
    const bodyError = errorOfBody(failure.cause, this.sent, this.req)
    const error = failureError(failure, this.hooked)
    const mayGo = bodyError === undefined && mayGoElsewhere(failure) && !this.answer.isTaken
    if (mayGo && this.startOver !== undefined) this.goElsewhere(this.startOver, error)
    else this.fail(bodyError ?? error)
  }

  private goElsewhere(startOver: (error: SluicewayError) => void, error: SluicewayError): void {
    if (this.isOver) return
    keepBody(this.sent, this.req)
    this.state = 'queued'
    this.whenOver?.()
    this.whenOver = undefined
    this.sent = undefined
    startOver(error)
  }

  /** Ends the exchange if the body of a hook fails before it is sent. After that, the upstream reports it. */
  private breakQueued(sent: SentRequest, cause: Error): void {
    if (this.state === 'queued' && this.sent === sent) this.breakOff(requestBodyError(cause))
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
    this.attempt?.abandon()
  }

  resumeUpstream(): void {
    if (!this.isOver) this.sending?.resume()
  }

  answered(): void {
    if (this.isOver) return
    this.finish()
    this.tellFinished('answered')
    // A changed body may end before that of the upstream.
    if (this.receiver !== this.answer) this.leave(this.receiver.isReplaced === true)
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

  /** True if the upstream's bytes are no longer for the client. */
  private get isLeft(): boolean {
    return this.isOver || this.rest !== undefined
  }

  passDirectly(): void {
    this.receiver = this.answer.takeBack()
  }

  get isOver(): boolean {
    return this.state === 'over'
  }

  private finish(reason?: unknown): void {
    this.state = 'over'
    if (this.receiver !== this.answer) this.answer.release(reason)
    releaseBody(this.sent, this.req)
    this.whenOver?.()
    this.settings.progress.end(this)
  }

  private tellFinished(outcome: ProxyOutcome, error?: unknown): void {
    this.trace?.finish(outcome, this.attempt?.bytesSent, error)
  }

  private get hooked(): Hooked {
    return hookedBy(this.settings, this.trace?.hasChangedHead === true)
  }
}
