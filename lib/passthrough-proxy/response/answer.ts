import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

import createDebug from 'debug'

import { isServedAsHttp10 } from '../../node/request-facts.js'
import { sendHead } from '../../node/send-head.js'
import { HeaderList } from '../header-list.js'
import { runResponseHook } from '../hooks.js'
import { writeHead, writeInformation, writeTrailers } from './write-head.js'
import { fitToFraming, readTrailers, type ResponseHeaders } from './headers.js'
import { endWith, leaveNow } from './leave-now.js'
import { rewriteHeaders } from './rewrite.js'
import type { ProxySettings } from '../settings.js'
import type { Target } from '../target.js'

const debug = createDebug('sluiceway:passthrough-proxy')

/** The head of an upstream's final response. */
export interface ResponseHead {
  readonly status: number
  readonly reason: string
  readonly headers: ResponseHeaders
  /** No body follows, whatever the headers say of it. */
  readonly endsWithHead: boolean
  /** Who sent it. */
  readonly target: Target
}

/** The exchange, as its answer sees it. */
export interface AnswerOwner {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly settings: ProxySettings
  /** Lets the upstream go on that was paused as the client was full. */
  resumeUpstream(): void
  /** Ends it with what was thrown where nobody else would catch it. */
  breakOff(error: unknown): unknown
}

/** The answer on its way to the client: interim responses, head, body at the client's pace, trailers. */
export class Answer {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  private readonly owner: AnswerOwner
  private hasBegun = false
  private hasBody = false
  private isFull = false
  /** Nobody on this side holds any of it. */
  private hasLeft = true
  /** The application itself holds back what is written. */
  private isCorked = false
  private awaitsDrain = false
  private hearsOfDrain = false

  constructor(owner: AnswerOwner) {
    this.req = owner.req
    this.res = owner.res
    this.owner = owner
  }

  /** The head that the client gets is the upstream's. */
  get isBegun(): boolean {
    return this.hasBegun
  }

  /** Somebody else answers, a timeout middleware, say: that must neither be written over nor cut. */
  get isTaken(): boolean {
    return this.res.headersSent && !this.hasBegun
  }

  /** Somebody else has ended it, or it is cut: it takes no more. */
  get isClosed(): boolean {
    return this.res.writableEnded || this.res.destroyed
  }

  /** Passes an interim response on, where the client can take it. */
  inform(status: number, lines: readonly string[]): void {
    try {
      writeInformation(this.req, this.res, status, lines)
    } catch (error) {
      debug('%s %s: %d not passed on: %o', this.req.method, this.req.url, status, error)
    }
  }

  /** Writes the head, as the options and `onResponse` want it. It leaves with what comes of the body in the same read. */
  begin(head: ResponseHead): void {
    const { headers, target } = head
    const { lines } = headers
    const { rewrites, preserveHost, onResponse } = this.owner.settings
    if (rewrites !== undefined) rewriteHeaders(lines, rewrites, { req: this.req, target, preserveHost })
    const incoming = { statusCode: head.status, statusMessage: head.reason, headers: new HeaderList(lines) }
    if (onResponse !== undefined) runResponseHook(onResponse, incoming, this)
    fitToFraming(headers, this.req, incoming.statusCode, head.endsWithHead)
    this.writeHead(incoming.statusCode, incoming.statusMessage, lines)
    // With a chunk, Node puts a head that waits its turn in front of a `100 Continue` that waits with it.
    if (this.res.socket === null) sendHead(this.res)
  }

  /** Writes the head behind which the connection is the upstream's. */
  upgrade(lines: string[]): void {
    this.writeHead(101, 'Switching Protocols', lines)
  }

  /** Writes a chunk, which leaves with the others of this read, also through compression. */
  write(chunk: Buffer): void {
    const { res } = this
    this.hasBody = true
    if (this.hasLeft) this.isCorked = res.writableCorked > 0
    this.hasLeft = false
    // As pipe() sees it: a `write` of the application's may give nothing at all.
    if ((res.write(chunk) as boolean | undefined) === false) this.isFull = true
    res.flush?.() // where `compression` or autoFlush has put it
  }

  /** Lets go what was written. False: the client is full, and the upstream is resumed when it is not. */
  takesMore(): boolean {
    // No byte of the body came with it.
    if (!this.hasBody && !this.isClosed) sendHead(this.res)
    this.hasLeft = !this.isCorked && leaveNow(this.res)
    const isFull = this.isFull && !this.hasLeft
    this.isFull = false
    if (isFull) this.waitForDrain()
    return !isFull
  }

  /** Somebody on this side still has the chunks that were written last. */
  get holdsChunks(): boolean {
    return !this.hasLeft
  }

  /** Ends it as the upstream has, behind its `last` bytes, with trailers where the client can take them. */
  end(trailers: string[], last: Buffer | undefined): void {
    if (trailers.length > 0) writeTrailers(this.res, readTrailers(trailers))
    const isFree = endWith(this.res, last)
    this.hasLeft = (isFree && this.hasLeft) || leaveNow(this.res)
  }

  /** Ends it visibly: a clean end would make a part look like the whole. */
  cut(): void {
    const { socket } = this.res
    // HTTP/1.0 has no chunks: an orderly end of the connection would be that of the body.
    if (isServedAsHttp10(this.req)) reset(socket)
    try {
      this.res.destroy()
    } catch (error) {
      debug('%s %s: %o', this.req.method, this.req.url, error)
      socket?.destroy()
    }
  }

  /** A head of which a part was written, by whatever stands before Node's own, is one that can only be cut. */
  private writeHead(status: number, reason: string, lines: string[]): void {
    const isTaken = this.res.headersSent
    try {
      writeHead(this.res, status, reason, lines)
      this.hasBegun = true
    } catch (error) {
      this.hasBegun = this.res.headersSent && !isTaken
      throw error
    }
  }

  private waitForDrain(): void {
    this.awaitsDrain = true
    if (this.hearsOfDrain) return
    this.hearsOfDrain = true
    // For good: `compression` moves the listener to its own stream, and cannot take a `once` off that again.
    this.res.on('drain', () => this.drained())
  }

  private drained(): void {
    if (!this.awaitsDrain) return
    this.awaitsDrain = false
    try {
      this.owner.resumeUpstream()
    } catch (error) {
      this.owner.breakOff(error)
    }
  }
}

/** Only TCP can; TLS tells a cut from an end by itself. */
function reset(socket: Socket | null): void {
  if (socket?.remoteFamily !== undefined && !(socket instanceof TLSSocket)) socket.resetAndDestroy()
}
