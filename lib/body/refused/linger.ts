import { type Closing, giveBackClosing, isClosedBy, takeOverClosing } from '../../node/closing.js'
import { announceClosing, closeAfter, currentResponse } from '../../node/connection.js'
import type { OutgoingResponse, ServerSocket } from '../../node/internals.js'
import { skipFurtherMessages } from '../../node/parser.js'
import { letFlow } from '../../node/stream-state.js'
import type { AnsweredBody } from '../owner.js'
import type { LingerBounds, Rest } from './rest.js'

/** Bounds where no limit of maxBytes has set others; they are its defaults. */
export const DEFAULT_LINGER: LingerBounds = { lingerMs: 2000, lingerBytes: 16 * 1024 * 1024 }

/** So much of a refused body is discarded before its response, which is due at once. */
const BEFORE_ANSWER = 64 * 1024

/**
 * What a client still sends over HTTP/1 of a body that was refused, or whose request has been answered.
 *
 * A socket that is closed with unread bytes resets the connection, and the client loses the answer it had not read
 * yet. So the rest is read and thrown away: a small one to keep the connection, a larger one within time and byte
 * bounds after the server's side has been closed.
 *
 * @see RFC 9112, section 9.6: close in stages.
 */
export class Linger implements Rest, Closing {
  private readonly body: AnsweredBody
  private readonly bounds: LingerBounds
  private discarded = 0
  /** Ends the wait for a rest that does not come. */
  private timer: NodeJS.Timeout | undefined
  private isAnswered = false
  private isLingering = false

  constructor(body: AnsweredBody, bounds: LingerBounds) {
    this.body = body
    this.bounds = bounds
    if (body.state === 'arriving') takeOverClosing(body.socket, this)
  }

  closeAfterAnswer(): void {
    const { res, socket } = this.body
    closeAfter(res)
    announceClosing(res)
    ignoreRest(socket, res)
    if (res.writableFinished) {
      // The response had ended before the body passed its limit.
      this.answered()
      this.close()
    } else if (socket.writable) socket.once('finish', this.answered)
    // The application has ended its half of the connection: no response will ever be out.
    else this.answered()
  }

  discard(chunk: Buffer | null): boolean {
    if (chunk === null) return this.end()
    this.discarded += chunk.length
    if (!this.isAnswered) return this.discarded <= this.mostBeforeAnswer
    if (this.discarded > this.bounds.lingerBytes) this.body.socket.destroy()
    return true
  }

  /**
   * A connection that is paused does not notice its client leave. The response may take long: others go out before it,
   * or the application has begun it and does not end it. Half of the bound is left for the time behind it.
   */
  private get mostBeforeAnswer(): number {
    const { res } = this.body
    const mayTakeLong = res.socket === null || res.headersSent
    return mayTakeLong ? Math.max(BEFORE_ANSWER, this.bounds.lingerBytes / 2) : BEFORE_ANSWER
  }

  readonly answered = (): void => {
    if (this.isAnswered) return
    this.isAnswered = true
    const { req, socket } = this.body
    if (socket.destroyed || !isClosedBy(socket, this)) return
    this.timer = setTimeout(destroy, this.bounds.lingerMs, socket).unref()
    socket.on('close', this.forget)
    // Unread, Node would discard the rest itself, uncounted.
    letFlow(req)
  }

  /** Closes the connection in stages: our side after the response, the whole after the rest or its bounds. */
  close(): void {
    if (this.isLingering) return
    this.isLingering = true
    const { socket } = this.body
    skipMessages(socket)
    ignoreEnd(socket)
    socket.end()
  }

  /** The rest has come, or nothing comes any more. */
  private readonly forget = (): void => {
    const { socket } = this.body
    clearTimeout(this.timer)
    if (isClosedBy(socket, this)) giveBackClosing(socket)
    socket.off('close', this.forget)
  }

  /** The client has sent all of it. */
  private end(): boolean {
    const { body } = this
    this.forget()
    body.restHasCome()
    if (this.isLingering) body.socket.destroySoon()
    return false
  }
}

/** Ignores what follows a refused body, and the end of a client that has not sent all of it. */
function ignoreRest(socket: ServerSocket, res: OutgoingResponse): void {
  skipMessages(socket)
  // As long as other responses have to go out before it, their client must be seen to leave.
  if (res.socket === null) res.once('socket', ignoreEnd)
  else ignoreEnd(socket)
}

/** Leftover bytes never become a request. The parser stays attached: it frames the rest, and takes it off the socket. */
function skipMessages({ parser }: ServerSocket): void {
  if (parser) skipFurtherMessages(parser)
}

/** The client's end never becomes a parse error, and does not keep an answer from it that is due. */
function ignoreEnd(socket: ServerSocket): void {
  socket.removeAllListeners('end')
  socket.removeAllListeners('error')
  socket.on('error', ignore).on('end', endUnfinished)
}

/** A response that the application has begun may never end; Node ends the connection of a client that has left. */
function endUnfinished(this: ServerSocket): void {
  const res = currentResponse(this)
  if (res?.headersSent === true && !res.writableEnded) this.end()
}

function ignore(): void {}

function destroy(socket: ServerSocket): void {
  socket.destroy()
}
