import { constants, type Http2ServerResponse } from 'node:http2'
import { Socket } from 'node:net'
import type { BodySource, LingerBounds } from './body-source.js'
import type { SluicewayError } from './errors.js'
import { letFlow, type OutgoingResponse, type ServerSocket } from './node-internals.js'
import { RefusedAnswer } from './refused-answer.js'
import { isHttp2 } from './request-facts.js'
import { isRead } from './request-readers.js'
import { findBodySource } from './sourced-request.js'

/** Bounds where no limit of maxBytes has set others; they are its defaults. */
const DEFAULT_LINGER: LingerBounds = { lingerMs: 2000, lingerBytes: 16 * 1024 * 1024 }

/** So much of an answered request's body is thrown away to keep its connection. */
export const SMALL_REST: number = 256 * 1024

const REST: unique symbol = Symbol.for('sluiceway.rest') as never

type LingeringSocket = ServerSocket & { [REST]?: BodyRest | undefined }

/**
 * What a client still sends of a body that was refused, or whose request has been answered.
 *
 * A socket that is closed with unread bytes resets the connection, and the client loses the answer it had not read
 * yet. So the rest is read and thrown away: a small one to keep the connection, a larger one within time and byte
 * bounds after the server's side has been closed.
 *
 * @see RFC 9112, section 9.6: close in stages.
 */
export class BodyRest {
  private readonly source: BodySource
  private readonly bounds: LingerBounds
  private discarded = 0
  /** Ends the wait for a rest that does not come. */
  timer: NodeJS.Timeout | undefined
  private isAnswered = false
  private isLingering = false

  constructor(source: BodySource) {
    this.source = source
    this.bounds = source.linger ?? DEFAULT_LINGER
    if (source.state === 'arriving' && !isHttp2(source.req)) this.takeOverClosing()
  }

  /** Refuses the body: fails its readers, closes the connection after the answer, and answers if nobody else does. */
  closeConnection(error: SluicewayError): void {
    const { source } = this
    const { res } = source
    res._last = true
    res.shouldKeepAlive = false
    if (!isHttp2(source.req)) ignoreFurtherRequests(source.socket)
    else closeStreamAfterAnswer(res)
    const answer = new RefusedAnswer(res, error)
    answer.answerIfNobodyDoes(isHeard(source) ? this.bounds.lingerMs : 0)
    source.fail(error)
    if (res.writableFinished) this.lingerAfterAnswer()
  }

  /** Throws bytes away, or notes the end of the body. Returns false where the connection should pause. */
  discard(chunk: Buffer | null): boolean {
    if (chunk === null) return this.end()
    if (!this.isAnswered) return false
    this.discarded += chunk.length
    if (this.discarded > this.bounds.lingerBytes) this.source.socket.destroy()
    else if (this.discarded > SMALL_REST && !this.isLingering) this.linger()
    return true
  }

  /** Notes that the response has ended: the rest may flow now, to nowhere. */
  answered(): void {
    this.isAnswered = true
    const { req } = this.source
    const socket: LingeringSocket = this.source.socket
    if (socket.destroyed || socket[REST] !== this) return
    this.timer = setTimeout(destroy, this.bounds.lingerMs, socket).unref()
    socket.on('close', forgetRest)
    // Unread, Node would discard the rest itself, uncounted.
    letFlow(req)
  }

  /** Closes the connection in stages: our side after the response, the whole after the rest or its bounds. */
  linger(): void {
    if (this.isLingering) return
    this.isLingering = true
    const { socket } = this.source
    ignoreFurtherRequests(socket)
    socket.end()
  }

  /** Closes a connection whose response ended before the body passed its limit. */
  private lingerAfterAnswer(): void {
    this.answered()
    this.linger()
  }

  private takeOverClosing(): void {
    const socket: LingeringSocket = this.source.socket
    socket[REST] = this
    socket.destroySoon = lingerInsteadOfDestroying
  }

  /** The client has sent all of it. */
  private end(): boolean {
    const socket: LingeringSocket = this.source.socket
    forgetRest.call(socket)
    if (this.isLingering) socket.destroySoon()
    return false
  }
}

/** Lets an answer say `Connection: close` where it comes while a large rest of the body is unread. */
export function announceClose(source: BodySource): void {
  const { res, req } = source
  const isLarge = source.length > SMALL_REST
  if (!isLarge || source.writeHead !== undefined || isHttp2(req)) return
  // Called with the response as `this`.
  // oxlint-disable-next-line typescript/unbound-method
  source.writeHead = res.writeHead
  res.writeHead = writeHeadWithClose as typeof res.writeHead
}

function writeHeadWithClose(this: OutgoingResponse, ...args: unknown[]): unknown {
  const source = findBodySource(this.req)!
  if (leavesLargeRest(source)) this.shouldKeepAlive = false
  return Reflect.apply(source.writeHead!, this, args)
}

/** Who is still reading may well read it all. */
function leavesLargeRest({ req, state, received, length, hasReaders }: BodySource): boolean {
  const rest = length - received
  return state === 'arriving' && rest > SMALL_REST && !hasReaders && !isRead(req)
}

/** Replaces `socket.destroySoon`, which Node calls after a response with `Connection: close`. */
function lingerInsteadOfDestroying(this: LingeringSocket): void {
  const rest = this[REST]
  if (rest === undefined) Socket.prototype.destroySoon.call(this)
  else rest.linger()
}

/**
 * Leftover bytes never become a request, and the client's own end never becomes a parse error.
 * The parser stays attached: it frames the rest, and takes it off the socket.
 */
function ignoreFurtherRequests(socket: ServerSocket): void {
  socket.removeAllListeners('end')
  socket.removeAllListeners('error')
  socket.on('error', ignore)
  if (socket.parser) socket.parser.onIncoming = skipMessage
}

function skipMessage(): number {
  return 0
}

function ignore(): void {}

function destroy(socket: ServerSocket): void {
  socket.destroy()
}

/** The rest has come, or nothing comes any more. */
function forgetRest(this: LingeringSocket): void {
  clearTimeout(this[REST]?.timer)
  this[REST] = undefined
  this.off('close', forgetRest)
}

/**
 * Ends an HTTP/2 stream, whose session lives on. A client that still sends learns that no more is wanted.
 * What came before it learnt that would keep the stream open, as nobody reads it.
 */
function closeStreamAfterAnswer(res: OutgoingResponse): void {
  const { stream } = res as unknown as Http2ServerResponse
  stream.once('finish', () => {
    stream.close(constants.NGHTTP2_NO_ERROR)
    stream.destroy()
  })
}

/** Tells whether an error of the body reaches somebody who may answer, or who has yet to begin reading. */
function isHeard({ req, hasReaders }: BodySource): boolean {
  const { flowing, pipes } = req._readableState
  return (
    flowing === null ||
    hasReaders ||
    req.listenerCount('error') > 0 ||
    // pipe() itself listens for errors of its destination.
    pipes.some((destination) => destination.listenerCount('error') > 1)
  )
}
