import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable, type Duplex } from 'node:stream'

import { exceptionContained, isProxyObserved } from '../shared/channels.js'
import type { ProxyOutcome } from '../shared/messages.js'
import { isSluicewayError } from '../shared/errors.js'
import type { NextFunction } from '../shared/middleware.js'
import { isClosed, onResponseClose } from '../node/response-close.js'
import { findBodySource } from '../body/tap.js'
import { tellOnFinished } from '../node/tell-on-finished.js'
import { pendingUpgrade } from '../node/pending-upgrade.js'
import { hasNoBody } from './body-length.js'
import { onBodyError, releaseBody, type Outgoing } from './request/outgoing.js'
import { Answer, type AnswerOwner } from './response/answer.js'
import { readResponseHeaders } from './response/headers.js'
import { switchedLines } from './response/switch-protocols.js'
import type { ProxySettings } from './settings.js'
import { hookError } from './hooks.js'
import { Trace } from './trace.js'
import { tunnel } from './tunnel.js'
import { answerError, failureError, type Hooked } from './upstream-errors.js'
import type { Failure, Receiver, Sending, Waiting } from './upstream/upstream.js'

const BODY_FAILED = 'the body that onRequest gave failed'

/**
 * - `queued`: no server has heard of the request; it is made ready, or waits for a connection.
 * - `sent`: it has a connection, and no final response yet.
 * - `answering`: the head of the final response has come.
 * - `over`: nothing is awaited from either side any more.
 *
 *     queued ── onSending ──▶ sent ── onHead ──▶ answering ── onEnd ──▶ over
 *        │                     │ └──── onUpgraded ──────────────────────▲
 *        └─────────────────────┴───── fail, abandon ─────┴──────────────┘
 */
type State = 'queued' | 'sent' | 'answering' | 'over'

/** One request on its way to the upstream and back, in the order it happens. */
export class Exchange implements Receiver, AnswerOwner {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  private readonly next: NextFunction
  readonly settings: ProxySettings
  private readonly answer: Answer
  private state: State
  private outgoing: Outgoing | undefined
  private waiting: Waiting | undefined
  private sending: Sending | undefined
  /** Tells of the request, where anybody listens. */
  readonly trace: Trace | undefined

  // A closure of its own: up to Node 22 a property of the response, to find the exchange by, costs a hidden class.
  private readonly abandonWithResponse = (): void => this.abandon()

  constructor(req: IncomingMessage, res: ServerResponse, next: NextFunction, settings: ProxySettings) {
    this.req = req
    this.res = res
    this.next = next
    this.settings = settings
    this.answer = new Answer(this)
    onResponseClose(res, this.abandonWithResponse)
    // A client that has left is told nothing, and asks for nothing any more.
    this.state = isClosed(res) ? 'over' : 'queued'
    this.trace = isProxyObserved() && !this.isOver ? new Trace(req, res) : undefined
  }

  /** Hands the request to the upstream. */
  send(outgoing: Outgoing): void {
    onBodyError(outgoing, this.req, (error) => this.breakQueued(error))
    if (this.isOver) return releaseBody(outgoing, this.req)
    this.outgoing = outgoing
    this.waiting = this.settings.upstream.send(outgoing, this)
    // Some tell of a response before `send` returns.
    if (this.isOver) this.waiting.abandon()
  }

  onSending(sending: Sending): void {
    this.state = 'sent'
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
    const { target, method } = this.outgoing as Outgoing
    try {
      const headers = readResponseHeaders(lines)
      this.answer.begin({ status, reason, headers, endsWithHead: hasNoBody(method, status), target })
    } catch (error) {
      this.breakOff(error)
    }
  }

  onBody(chunk: Buffer): void {
    try {
      this.trace?.receive(chunk.length)
      if (this.answer.isClosed) this.abandon()
      else this.answer.write(chunk)
    } catch (error) {
      this.breakOff(error)
    }
  }

  onReadOver(): boolean {
    try {
      const isFull = !this.answer.takesMore()
      if (isFull) this.sending?.pause()
      return this.answer.holdsChunks
    } catch (error) {
      this.breakOff(error)
      return true
    }
  }

  onEnd(trailers: string[], last?: Buffer): boolean {
    try {
      if (last !== undefined) this.trace?.receive(last.length)
      this.answer.end(trailers, last)
      this.finish()
      this.tellFinished('answered')
      return this.answer.holdsChunks
    } catch (error) {
      this.breakOff(error)
      return true
    }
  }

  onUpgraded(lines: string[], connection: Duplex, early: Buffer): void {
    const pending = pendingUpgrade(this.req)
    // Somebody else has the client's connection, or answers.
    if (pending === undefined || this.res.headersSent) {
      connection.destroy()
      return this.abandon()
    }
    try {
      this.answer.upgrade(switchedLines(lines, this.outgoing?.upgrade))
      this.trace?.head(101)
      if (early.length > 0) pending.socket.write(early)
      tunnel(pending, connection)
      this.finish()
      const bytes = { up: pending.head.length, down: early.length }
      this.trace?.follow({ client: pending.socket, upstream: connection }, bytes)
    } catch (error) {
      connection.destroy()
      this.breakOff(error)
    }
  }

  onFailure(failure: Failure): void {
    this.fail(this.bodyError(failure.cause) ?? failureError(failure, this.hooked))
  }

  /** The error of the request's own body, where that is what has failed: the client's as it is, or that of a hook. */
  private bodyError(cause: unknown): unknown {
    if (cause === undefined || cause === null) return undefined
    if (cause === this.req.errored) return cause
    const { body } = this.outgoing ?? {}
    const isHooks = body instanceof Readable && body.errored === cause
    return isHooks ? hookError(BODY_FAILED, cause) : undefined
  }

  /** The body of a hook has failed. Once it is being sent, the upstream tells of that. */
  private breakQueued(cause: Error): void {
    if (this.state === 'queued') this.breakOff(hookError(BODY_FAILED, cause))
  }

  /** Ends the exchange with an error: to the app's error handlers while it can be answered, else visibly. */
  fail(error: unknown): void {
    if (this.answer.isTaken) this.abandon()
    if (this.isOver) return
    this.finish()
    this.tellFinished(this.isClients(error) ? 'client-left' : 'failed', error)
    this.res.off('close', this.abandonWithResponse)
    this.tell(error)
  }

  /** Ends it with what was thrown on this side: by the application, or by Node for what the upstream sent. */
  breakOff(thrown: unknown): void {
    this.fail(answerError(thrown, this.hooked))
    this.waiting?.abandon()
  }

  /** The client has left, or the response was ended without us. */
  abandon(): void {
    if (this.isOver) return
    this.finish()
    this.tellFinished(this.answer.isTaken || this.res.writableEnded ? 'answered-here' : 'client-left')
    this.waiting?.abandon()
  }

  resumeUpstream(): void {
    if (!this.isOver) this.sending?.resume()
  }

  private get isOver(): boolean {
    return this.state === 'over'
  }

  private finish(): void {
    this.state = 'over'
    if (this.outgoing !== undefined) releaseBody(this.outgoing, this.req)
  }

  private tellFinished(outcome: ProxyOutcome, error?: unknown): void {
    this.trace?.finish(outcome, this.waiting?.bytesSent, outcome === 'failed' ? error : undefined)
  }

  /** The client has left in the middle of its body. */
  private isClients(error: unknown): boolean {
    if (isSluicewayError(error)) return error.code === 'ERR_SLUICEWAY_BODY_ABORTED'
    return error !== null && error === this.req.errored
  }

  /** What an error handler throws goes no further: events of the upstream's connection lead here. */
  private tell(error: unknown): void {
    try {
      if (this.answer.isBegun) this.answer.cut()
      else if (!this.req.complete && !this.req.destroyed) this.giveUpRest()
      this.next(error)
    } catch (thrown) {
      if (exceptionContained.isObserved) exceptionContained.tell({ req: this.req, error: thrown })
      if (!this.answer.isClosed) this.answer.cut()
    }
  }

  /** Nobody will read what is still to come of the upload. */
  private giveUpRest(): void {
    findBodySource(this.req)?.announceClose()
    tellOnFinished(this.req)
  }

  private get hooked(): Hooked {
    const { path, onRequest, onResponse } = this.settings
    const isChanged = (onRequest ?? path) !== undefined || this.trace?.hasChangedHead === true
    return { request: isChanged, response: onResponse !== undefined }
  }
}
