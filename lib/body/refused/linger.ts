import {
  type Closing,
  giveBackClosing,
  isClosedBy,
  skipMessages,
  takeOverClosing,
} from '../../node/connection/closing.js'
import { currentResponse } from '../../node/connection/connection.js'
import type { OutgoingResponse, ServerSocket } from '../../node/internals.js'
import { freeFresh, noteRest } from '../../node/memory/chunk-memory.js'
import { isHeadWritten } from '../../node/response/send-head.js'
import { announceClosing, closeAfter } from '../../node/response/state.js'
import { letFlow } from '../../node/streams/state.js'
import { timers } from '../../node/timers.js'
import type { DiscardedBody } from '../views.js'
import type { LingerBounds, RefusedRest } from './rest.js'

/** The bounds if no limit of maxBytes has set others; these are also its defaults. */
export const DEFAULT_LINGER: LingerBounds = { lingerMs: 2000, lingerBytes: 16 * 1024 * 1024 }

/** The number of bytes of a refused body that are discarded before its response, which is sent soon. */
const BEFORE_ANSWER = 64 * 1024

/**
 * Discards the rest of a body that was refused, or whose request has been answered, over HTTP/1.
 *
 * Closing a socket with unread bytes resets the connection, and the client loses an answer that it has not read yet.
 * So the rest is read and discarded: a small one to keep the connection, a larger one within time and byte bounds
 * after the server's side has been closed.
 *
 * @see RFC 9112 §9.6: close in stages.
 */
export class Linger implements RefusedRest, Closing {
  private readonly body: DiscardedBody
  private readonly bounds: LingerBounds
  private discarded = 0
  /** Limits the wait for a rest that does not come. */
  private timer: NodeJS.Timeout | undefined
  private isAnswered = false
  private isLingering = false

  constructor(body: DiscardedBody, bounds: LingerBounds) {
    this.body = body
    this.bounds = bounds
    if (body.state === 'arriving') takeOverClosing(body.socket, this)
    noteRest(body)
  }

  closeAfterAnswer(): void {
    const { res, socket } = this.body
    closeAfter(res)
    announceClosing(res)
    ignoreRest(socket, res)
    if (res.writableFinished) {
      // The response ended before the body passed its limit.
      this.answered()
      this.close()
    } else if (socket.writable) socket.once('finish', this.answered)
    // The application has ended its half of the connection, so no response will be sent.
    else this.answered()
  }

  discard(chunk: Buffer | null): boolean {
    if (chunk === null) return this.end()
    const { length } = chunk
    freeFresh(chunk)
    return this.pass(length)
  }

  /** Counts bytes that a reader still gets. Returns false if the connection should pause. */
  pass(count: number): boolean {
    this.discarded += count
    if (!this.isAnswered) return this.discarded <= this.maxBeforeAnswer
    if (this.discarded > this.bounds.lingerBytes) this.body.socket.destroy()
    return true
  }

  /**
   * The number of bytes to discard before the response. A paused connection does not notice that its client leaves,
   * and the response may take long: others are sent before it, or the application does not end it. Half of the bound
   * is left for the time after it.
   */
  private get maxBeforeAnswer(): number {
    const { res } = this.body
    const mayTakeLong = res.socket === null || isHeadWritten(res)
    return mayTakeLong ? Math.max(BEFORE_ANSWER, this.bounds.lingerBytes / 2) : BEFORE_ANSWER
  }

  readonly answered = (): void => {
    if (this.isAnswered) return
    this.isAnswered = true
    const { req, socket } = this.body
    if (socket.destroyed || !isClosedBy(socket, this)) return
    this.timer = timers.setTimeout(destroy, this.bounds.lingerMs, socket).unref()
    socket.on('close', this.forget)
    // Otherwise Node would discard the rest itself, without counting it.
    letFlow(req)
  }

  /**
   * Closes the connection in stages: our side after the response, the whole connection after the rest or its bounds.
   */
  close(): void {
    if (this.isLingering) return
    this.isLingering = true
    const { socket } = this.body
    ignoreEnd(socket)
    socket.end()
  }

  /** Stops waiting, because the rest has arrived or the connection has closed. */
  private readonly forget = (): void => {
    const { socket } = this.body
    timers.clearTimeout(this.timer)
    if (isClosedBy(socket, this)) giveBackClosing(socket)
    socket.off('close', this.forget)
  }

  /** Notes that the client has sent the whole rest. */
  private end(): boolean {
    const { body } = this
    this.forget()
    body.restReceived()
    if (this.isLingering) body.socket.destroySoon()
    return false
  }
}

/** Ignores the bytes after a refused body, and the end of a client that has not sent all of it. */
function ignoreRest(socket: ServerSocket, res: OutgoingResponse): void {
  skipMessages(socket)
  // While other responses have to be sent first, Node has to notice that their client leaves.
  // `once` calls `on`, which a compressor may have replaced.
  if (res.socket === null) res.prependOnceListener('socket', ignoreEnd)
  else ignoreEnd(socket)
}

/** Keeps the client's end from becoming a parse error, which would suppress an answer that is due. */
function ignoreEnd(socket: ServerSocket): void {
  socket.removeAllListeners('end')
  socket.removeAllListeners('error')
  socket.on('error', ignore).on('end', endUnfinished)
}

/** Ends a response that the application has begun and may never end, as Node does if the client leaves. */
function endUnfinished(this: ServerSocket): void {
  const res = currentResponse(this)
  if (res !== undefined && isHeadWritten(res) && !res.writableEnded) this.end()
}

function ignore(): void {}

function destroy(socket: ServerSocket): void {
  socket.destroy()
}
