import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable, type Duplex } from 'node:stream'

import createDebug from 'debug'

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
import { tunnelBehindHead } from './tunnel.js'
import { answerError, failureError, type Hooked } from './upstream-errors.js'
import type { Failure, Receiver, Sending, Waiting } from './upstream/upstream.js'

const debug = createDebug('sluiceway:passthrough-proxy')

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
      this.answer.end(trailers, last)
      this.finish()
      debug('%s %s: %d', this.req.method, this.req.url, this.res.statusCode)
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
      tunnelBehindHead(this.res, pending, connection, early)
      this.finish()
      debug('%s %s: upgraded', this.req.method, this.req.url)
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
    debug('%s %s: %o', this.req.method, this.req.url, error)
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
    debug('%s %s: given up', this.req.method, this.req.url)
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

  /** What an error handler throws goes no further: events of the upstream's connection lead here. */
  private tell(error: unknown): void {
    try {
      if (this.answer.isBegun) this.answer.cut()
      else if (!this.req.complete && !this.req.destroyed) this.giveUpRest()
      this.next(error)
    } catch (thrown) {
      debug('%s %s: an error handler threw %o', this.req.method, this.req.url, thrown)
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
    return { request: (onRequest ?? path) !== undefined, response: onResponse !== undefined }
  }
}
