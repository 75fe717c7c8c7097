import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex, Readable } from 'node:stream'

import createDebug from 'debug'
import type { Dispatcher } from 'undici'

import { announceClose } from '../shared/body-rest.js'
import { isSluicewayError, sluicewayError } from '../shared/errors.js'
import type { NextFunction } from '../shared/middleware.js'
import { isClosed, onResponseClose } from '../shared/response-close.js'
import { findBodySource } from '../shared/sourced-request.js'
import { answerWithoutBody } from '../shared/unread-body.js'
import { pendingUpgrade } from '../shared/upgrade.js'
import { Answer } from './response/answer.js'
import { hookError } from './hooks.js'
import { InterimResponses } from './response/interim.js'
import { isRepeatable, type Connection } from './upstream/undici/pool.js'
import { hasNoBody, readResponseHeaders, type ResponseHeaders } from './response/headers.js'
import { cameOverHttp2, trailersOverHttp2 } from './upstream/undici/http2.js'
import type { SentRequest } from './request/outgoing.js'
import type { ProxySettings } from './settings.js'
import { tunnel } from './tunnel.js'
import { answerError, isRefusal, upstreamError, type Progress } from './upstream-errors.js'

const debug = createDebug('sluiceway:passthrough-proxy')

/** How often a request that found nobody is sent again, to a dispatcher of the caller's: a balanced pool, say. */
const MOST_RETRIES = 3

/** One request on its way to the upstream and back: what undici tells, in the order it happens. */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  private readonly next: NextFunction
  readonly settings: ProxySettings
  private readonly answer: Answer
  private sent: SentRequest | undefined
  private connection: Connection | undefined
  private abortUpstream: ((reason?: Error) => void) | undefined
  private isWaiting = false
  /** When the request had a connection; 0 as long as it has none. */
  private connectedAt = 0
  private isReused = false
  private retries = 0
  private hasResponse = false
  private endsWithHead = false
  private interim: InterimResponses | undefined
  private isOver: boolean

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
    this.isOver = isClosed(res)
  }

  /** Hands the request to the upstream's dispatcher. */
  send(request: SentRequest): void {
    if (this.isOver) return
    if (request.target.waiting >= this.settings.maxQueue) {
      this.fail(sluicewayError('ERR_SLUICEWAY_UPSTREAM_QUEUE_FULL', { headers: { 'Retry-After': '1' } }))
      return
    }
    this.sent = request
    this.dispatch(request, this.settings.dispatcher)
  }

  /** The pool has chosen a connection, on which the request may still have to wait. */
  assigned(connection: Connection): void {
    this.connection = connection
  }

  onConnect(abort: (reason?: Error) => void): void {
    this.leaveQueue()
    // Thrown, not aborted: that would cost the connection.
    if (this.isOver) throw new Error('the client has left')
    this.connectedAt = performance.now()
    this.isReused = this.connection?.serve() ?? false
    this.abortUpstream = abort
  }

  onResponseStarted(): void {
    this.hasResponse = true
  }

  onHeaders(status: number, raw: Buffer[], resume: () => void, reason: string): boolean {
    if (this.answer.isTaken) return this.leaveUpstream()
    try {
      const headers = readResponseHeaders(raw)
      if (status < 200) this.inform(status, headers.lines)
      else this.begin(status, reason, headers, resume)
      return true
    } catch (error) {
      return this.breakOff(error)
    }
  }

  onData(chunk: Buffer): boolean {
    try {
      return this.answer.isClosed ? this.leaveUpstream() : this.answer.write(chunk)
    } catch (error) {
      return this.breakOff(error)
    }
  }

  onComplete(trailers: string[] | Buffer[] | null): void {
    if (trailers !== null && cameOverHttp2(trailers)) {
      this.fail(trailersOverHttp2())
      return
    }
    try {
      this.answer.end(Array.isArray(trailers) ? trailers : [])
      this.isOver = true
      this.sent?.upload?.destroy()
      debug('%s %s: %d', this.req.method, this.req.url, this.res.statusCode)
    } catch (error) {
      this.breakOff(error)
    }
  }

  onUpgrade(_status: number, raw: Buffer[] | string[] | null, upstream: Duplex): void {
    const pending = pendingUpgrade(this.req)
    if (pending === undefined || this.res.headersSent || this.isOver) {
      upstream.destroy()
      return
    }
    try {
      const { lines } = readResponseHeaders(raw ?? [])
      lines.push('Connection', 'Upgrade', 'Upgrade', String(this.sent?.options.upgrade))
      this.answer.upgrade(lines)
      tunnel(pending, upstream)
      this.isOver = true
      this.interim?.end()
      debug('%s %s: upgraded', this.req.method, this.req.url)
    } catch (error) {
      upstream.destroy()
      this.breakOff(error)
    }
  }

  onError(error: Error): void {
    this.leaveQueue()
    if (this.isOver) return
    // Nothing was to come: whatever befalls the connection now, the client has its whole answer.
    if (this.endsWithHead && this.answer.isBegun) this.onComplete(null)
    else if (this.mayRetry(error)) this.retry(error)
    else this.fail(this.named(error))
  }

  /** Ends the exchange with an error: to the app's error handlers while it can be answered, else visibly. */
  fail(error: unknown): void {
    if (this.answer.isTaken) this.abandon()
    if (this.isOver) return
    this.leave()
    debug('%s %s: %o', this.req.method, this.req.url, error)
    this.res.off('close', this.abandonWithResponse)
    this.tell(error)
  }

  /** Ends it with what was thrown on this side: by the application, or by Node for what the upstream sent. */
  breakOff(thrown: unknown): false {
    this.fail(answerError(thrown, this.progress))
    this.abortUpstream?.()
    return false
  }

  /** The upload is still on its way. */
  get isSending(): boolean {
    return (this.sent?.options.body as Partial<Readable> | null)?.readableEnded === false
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
    const source = findBodySource(this.req)
    if (source !== undefined) announceClose(source)
    answerWithoutBody(this.req)
  }

  /** The client has left, or the response was ended without us. */
  abandon(): void {
    if (this.isOver) return
    this.leave()
    debug('%s %s: given up', this.req.method, this.req.url)
    this.abortUpstream?.()
  }

  sendAgain(): void {
    if (this.isOver || this.sent === undefined) return
    this.dispatch(this.sent, this.connection ?? this.settings.dispatcher)
  }

  private inform(status: number, lines: readonly string[]): void {
    const { headersTimeoutMs } = this.settings
    this.interim ??= new InterimResponses(this, headersTimeoutMs, performance.now() - this.connectedAt)
    this.interim.count(lines)
    this.answer.inform(status, lines)
  }

  private begin(status: number, reason: string, headers: ResponseHeaders, resume: () => void): void {
    const { target, options } = this.sent as SentRequest
    this.hasResponse = true
    this.interim?.end()
    this.endsWithHead = hasNoBody(options.method, status)
    if (this.endsWithHead && headers.hasContentLength) this.connection?.expectNoBody()
    const { endsWithHead } = this
    this.answer.begin({ status, reason, headers, endsWithHead, target }, resume)
  }

  private leave(): void {
    this.isOver = true
    this.interim?.end()
    this.answer.forgetUpstream()
    this.sent?.upload?.destroy()
  }

  private leaveUpstream(): false {
    this.abandon()
    return false
  }

  private dispatch({ target, options }: SentRequest, dispatcher: Dispatcher | Connection): void {
    this.isWaiting = true
    target.waiting += 1
    try {
      dispatcher.dispatch(options, this)
    } catch (cause) {
      this.leaveQueue()
      this.fail(hookError('the dispatcher failed', cause))
    }
  }

  private leaveQueue(): void {
    if (!this.isWaiting || this.sent === undefined) return
    this.isWaiting = false
    this.sent.target.waiting -= 1
  }

  private mayRetry(error: Error): boolean {
    if (this.hasResponse) return false
    // A kept connection may have been closed while the request was on its way: it was never heard.
    if (this.connectedAt > 0) return this.isReused && this.retries === 0 && isRepeatable(this.sent?.options)
    // Not a byte was sent; a balanced pool may have another upstream to send it to.
    return this.connection === undefined && this.retries < MOST_RETRIES && isRefusal(error)
  }

  private retry(error: Error): void {
    debug('%s %s: once more after %o', this.req.method, this.req.url, error)
    this.retries += 1
    this.connectedAt = 0
    this.abortUpstream = undefined
    // By then a balanced pool has heard of the failure too.
    process.nextTick(sendAgain, this)
  }

  private named(error: Error): Error {
    const fromRequest = this.sent?.upload?.failure === error
    if (fromRequest || isSluicewayError(error)) return error
    return upstreamError(error, this.progress)
  }

  private get progress(): Progress {
    const { path, onRequest, onResponse } = this.settings
    return {
      connected: this.connectedAt > 0,
      requestHooked: (onRequest ?? path) !== undefined,
      responseHooked: onResponse !== undefined,
    }
  }
}

function sendAgain(exchange: Exchange): void {
  exchange.sendAgain()
}
