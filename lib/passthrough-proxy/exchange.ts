import type { Duplex } from 'node:stream'
import { pendingUpgrade } from '../node/connection/pending-upgrade.js'
import type { SluicewayError } from '../shared/errors.js'
import { hasNoBody } from '../shared/response-facts.js'
import { mayGoElsewhere } from './attempts.js'
import { EndableExchange } from './endable-exchange.js'
import { requestBodyError } from './hooks.js'
import type { TunnelEnds } from './progress.js'
import { errorOfBody, holdBody, keepBody, onBodyError, releaseBody } from './request/sent-body.js'
import type { SentRequest } from './request/sent-request.js'
import { readResponseHeaders } from './response/headers.js'
import { switchedLines } from './response/switch-protocols.js'
import { tunnelAfterHead, type TunnelOwner } from './tunnel.js'
import { failureError } from './upstream-errors.js'
import type { Failure, Receiver, Sending } from './upstream/upstream.js'

/** One request on its way to the upstream and back, in the order of events. */
export class Exchange extends EndableExchange implements Receiver, TunnelOwner {
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
}
