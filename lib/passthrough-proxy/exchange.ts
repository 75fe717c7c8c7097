import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

import createDebug from 'debug'
import type { Dispatcher } from 'undici'

import { isSluicewayError, sluicewayError } from '../shared/errors.js'
import type { NextFunction } from '../shared/middleware.js'
import { answerWithoutBody } from '../shared/unread-body.js'
import { pendingUpgrade } from '../shared/upgrade.js'
import { HeaderList } from './header-list.js'
import { runResponseHook } from './hooks.js'
import { isRepeatable, type Connection } from './pool.js'
import { writeHead, writeInformation } from './response-head.js'
import {
  fitToFraming,
  hasNoBody,
  readResponseHeaders,
  readTrailers,
  type ResponseHeaders,
} from './response-headers.js'
import { rewriteHeaders } from './rewrite-headers.js'
import type { ProxySettings } from './settings.js'
import type { Target } from './target.js'
import { tunnel } from './tunnel.js'
import type { UploadBody } from './upload-body.js'
import { upstreamError } from './upstream-errors.js'

const debug = createDebug('sluiceway:passthrough-proxy')

const kExchange = Symbol('exchange')

interface WithExchange extends ServerResponse {
  [kExchange]?: Exchange
  /** Where `compression` or autoFlush has put it. */
  flush?: () => void
}

/** One request on its way to the upstream and back: what undici tells, in the order it happens. */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  private readonly next: NextFunction
  private readonly settings: ProxySettings
  private target: Target | undefined
  private options: Dispatcher.DispatchOptions | undefined
  private upload: UploadBody | undefined
  private connection: Connection | undefined
  private abortUpstream: ((reason?: Error) => void) | undefined
  private resumeUpstream: (() => void) | undefined
  private isWaiting = false
  private isConnected = false
  private isReused = false
  private isRetried = false
  private hasResponse = false
  private endsWithHead = false
  private hasBody = false
  private ownsHead = false
  private awaitsDrain = false
  private isOver = false

  constructor(req: IncomingMessage, res: ServerResponse, next: NextFunction, settings: ProxySettings) {
    this.req = req
    this.res = res
    this.next = next
    this.settings = settings
    ;(res as WithExchange)[kExchange] = this
    res.on('close', onResponseClose)
  }

  /** Hands the request to the upstream's dispatcher. */
  send(target: Target, options: Dispatcher.DispatchOptions, upload: UploadBody | undefined): void {
    if (this.isOver) return
    if (target.waiting >= this.settings.maxQueue) {
      this.fail(sluicewayError('ERR_SLUICEWAY_UPSTREAM_QUEUE_FULL', { headers: { 'Retry-After': '1' } }))
      return
    }
    this.target = target
    this.options = options
    this.upload = upload
    this.isWaiting = true
    target.waiting += 1
    this.settings.dispatcher.dispatch(options, this)
  }

  /** The pool has chosen a connection, on which the request may still have to wait. */
  assigned(connection: Connection): void {
    this.connection = connection
  }

  onConnect(abort: (reason?: Error) => void): void {
    this.leaveQueue()
    // Thrown, not aborted: that would cost the connection.
    if (this.isOver) throw new Error('the client has left')
    this.isConnected = true
    this.isReused = this.connection?.serve() ?? false
    this.abortUpstream = abort
  }

  onResponseStarted(): void {
    this.hasResponse = true
  }

  onHeaders(status: number, raw: Buffer[], resume: () => void, reason: string): boolean {
    if (this.isAnsweredByOthers()) return this.leaveUpstream()
    const headers = readResponseHeaders(raw)
    if (status < 200) {
      this.passInformation(status, headers)
      return true
    }
    this.resumeUpstream = resume
    this.hasResponse = true
    this.endsWithHead = hasNoBody(this.options?.method, status)
    if (this.endsWithHead && headers.hasContentLength) this.connection?.expectNoBody()
    this.passHead(status, reason, headers)
    process.nextTick(flushHead, this)
    return true
  }

  onData(chunk: Buffer): boolean {
    const res = this.res as WithExchange
    // A response that somebody else has ended, or that is cut, takes no more.
    if (res.writableEnded || res.destroyed) return this.leaveUpstream()
    this.hasBody = true
    const more = res.write(chunk)
    res.flush?.()
    if (!more) this.waitForDrain()
    return more
  }

  onComplete(trailers: string[] | Buffer[] | null): void {
    this.isOver = true
    this.passTrailers(trailers ?? [])
    this.res.end()
    this.upload?.destroy()
    debug('%s %s: %d', this.req.method, this.req.url, this.res.statusCode)
  }

  onUpgrade(_status: number, raw: Buffer[] | string[] | null, upstream: Duplex): void {
    const pending = pendingUpgrade(this.req)
    if (pending === undefined || this.res.headersSent || this.isOver) {
      upstream.destroy()
      return
    }
    this.isOver = true
    const headers = readResponseHeaders(raw ?? [])
    headers.lines.push('Connection', 'Upgrade', 'Upgrade', String(this.options?.upgrade))
    writeHead(this.res, 101, 'Switching Protocols', headers.lines)
    this.res.flushHeaders()
    debug('%s %s: upgraded', this.req.method, this.req.url)
    tunnel(pending, upstream)
  }

  onError(error: Error): void {
    this.leaveQueue()
    if (this.isOver) return
    // Nothing was to come: whatever befalls the connection now, the client has its whole answer.
    if (this.endsWithHead && this.ownsHead) this.onComplete(null)
    else if (this.mayRetry()) this.retry(error)
    else this.fail(this.named(error))
  }

  /** Ends the exchange with an error: to the app's error handlers while it can be answered, else visibly. */
  fail(error: unknown): void {
    if (this.isAnsweredByOthers()) this.abandon()
    if (this.isOver) return
    this.isOver = true
    debug('%s %s: %o', this.req.method, this.req.url, error)
    this.res.off('close', onResponseClose)
    this.upload?.destroy()
    // A clean end would make a part look like the whole.
    if (this.ownsHead) this.res.destroy()
    else if (!this.req.complete && !this.req.destroyed) answerWithoutBody(this.req)
    this.next(error)
  }

  /** The client has left, or the response was ended without us. */
  abandon(): void {
    if (this.isOver) return
    this.isOver = true
    debug('%s %s: given up', this.req.method, this.req.url)
    this.upload?.destroy()
    this.abortUpstream?.()
  }

  resume(): void {
    this.awaitsDrain = false
    if (!this.isOver) this.resumeUpstream?.()
  }

  /** Sends the head where no byte of the body came with it. */
  flushHead(): void {
    if (!this.hasBody && !this.res.writableEnded && !this.res.destroyed) this.res.flushHeaders()
  }

  /** A timeout middleware, say: its answer must neither be written over nor cut. */
  private isAnsweredByOthers(): boolean {
    return this.res.headersSent && !this.ownsHead
  }

  private leaveUpstream(): false {
    this.abandon()
    return false
  }

  private passInformation(status: number, { lines }: ResponseHeaders): void {
    try {
      writeInformation(this.req, this.res, status, lines)
    } catch (error) {
      debug('%s %s: %d not passed on: %o', this.req.method, this.req.url, status, error)
    }
  }

  private passHead(status: number, reason: string, headers: ResponseHeaders): void {
    const { lines } = headers
    const incoming = { statusCode: status, statusMessage: reason, headers: new HeaderList(lines) }
    this.rewrite(lines)
    if (this.settings.onResponse !== undefined) runResponseHook(this.settings.onResponse, incoming, this)
    fitToFraming(headers, this.req, incoming.statusCode, this.endsWithHead)
    writeHead(this.res, incoming.statusCode, incoming.statusMessage, lines)
    this.ownsHead = true
  }

  private rewrite(lines: string[]): void {
    const { req, target, settings } = this
    if (settings.rewrites === undefined || target === undefined) return
    rewriteHeaders(lines, settings.rewrites, { req, target, preserveHost: settings.preserveHost })
  }

  private passTrailers(raw: readonly (string | Buffer)[]): void {
    if (raw.length === 0 || this.req.httpVersion === '1.0' || this.req.method === 'HEAD') return
    this.res.addTrailers([...new HeaderList(readTrailers(raw))] as [string, string][])
  }

  private waitForDrain(): void {
    if (this.awaitsDrain) return
    this.awaitsDrain = true
    this.res.once('drain', onResponseDrain)
  }

  private leaveQueue(): void {
    if (!this.isWaiting || this.target === undefined) return
    this.isWaiting = false
    this.target.waiting -= 1
  }

  /** A kept connection may have been closed while the request was on its way: it was never heard. */
  private mayRetry(): boolean {
    return this.isReused && !this.isRetried && !this.hasResponse && isRepeatable(this.options)
  }

  private retry(error: Error): void {
    debug('%s %s: once more after %o', this.req.method, this.req.url, error)
    this.isRetried = true
    this.isConnected = false
    this.abortUpstream = undefined
    this.connection?.dispatch(this.options as Dispatcher.DispatchOptions, this)
  }

  private named(error: Error): Error {
    const fromRequest = this.upload?.failure === error
    if (fromRequest || isSluicewayError(error)) return error
    const { path, onRequest, onResponse } = this.settings
    return upstreamError(error, {
      connected: this.isConnected,
      requestHooked: (onRequest ?? path) !== undefined,
      responseHooked: onResponse !== undefined,
    })
  }
}

function onResponseClose(this: ServerResponse): void {
  ;(this as WithExchange)[kExchange]?.abandon()
}

function onResponseDrain(this: ServerResponse): void {
  ;(this as WithExchange)[kExchange]?.resume()
}

function flushHead(exchange: Exchange): void {
  exchange.flushHead()
}
