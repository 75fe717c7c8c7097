import type { ServerHttp2Stream } from 'node:http2'
import { NO_ERROR } from '../../node/http2-codes.js'
import { streamOf } from '../../node/request/facts.js'
import { isBegun } from '../../node/streams/listeners.js'
import { timers } from '../../node/timers.js'
import type { AnsweredBody } from '../views.js'
import type { RefusedRest } from './rest.js'

/**
 * Ends the HTTP/2 stream of a body that was refused, or whose request has been answered.
 *
 * Only the stream ends; its session and the other streams stay open. The client learns that no more is wanted.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9113#section-8.1
 */
export class Http2Rest implements RefusedRest {
  private readonly body: AnsweredBody
  private readonly stream: ServerHttp2Stream

  constructor(body: AnsweredBody) {
    this.body = body
    this.stream = streamOf(body.res)
  }

  closeAfterAnswer(): void {
    if (this.stream.writableFinished) this.answered()
    else this.stream.once('finish', () => this.answered())
  }

  /** Passes the end on: Node reads a request whose stream has closed until it ends, and asserts that it has ended. */
  discard(chunk: Buffer | null): boolean {
    if (chunk === null) this.body.restReceived()
    return false
  }

  /** Readers first get the error of the body, and then 'close': that of the stream would come before both. */
  answered(): void {
    // A reader that has begun would take the end of the stream for that of the body.
    if (isBegun(this.body.req)) this.body.loseRest()
    timers.setImmediate(closeNextTurn, this.stream)
  }
}

/**
 * The end of the answer leaves at the end of this turn. A client of Node that reads the reset together with it never
 * closes its stream while it has something to send.
 */
function closeNextTurn(stream: ServerHttp2Stream): void {
  timers.setImmediate(closeStream, stream)
}

/** Discards the bytes that the client sent before it was told; unread, they would keep the stream open. */
function closeStream(stream: ServerHttp2Stream): void {
  // If the response was cut, `destroy()` would drop the reset, and the client would see an orderly end.
  if (stream.closed && stream.rstCode !== NO_ERROR) return
  stream.close(NO_ERROR)
  stream.destroy()
}
