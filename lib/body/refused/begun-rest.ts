import { flowsUnread, isBegun } from '../../node/streams/listeners.js'
import type { AnsweredBody } from '../views.js'
import { SMALL_REST } from './announce-close.js'
import { Linger } from './linger.js'
import type { Rest } from './rest.js'

/** A body that is not kept, and whose request has been answered before it was whole. */
interface LeftBody extends AnsweredBody {
  readonly limit: number
  readonly received: number
  /** Puts a chunk into the request's own buffer. */
  buffer(chunk: Buffer): boolean
}

/**
 * Gives the rest of an answered body to a reader that has begun, and may go on: code that looks at the first bytes,
 * answers, and then stores the upload. While the reader pauses, the request buffers as much as would be discarded to
 * keep the connection. If more comes, the reader gets an error: it must not take a part of the body for the whole.
 */
class BegunRest implements Rest {
  private readonly body: LeftBody
  private readonly linger: Linger
  private passed = 0
  private isLost = false

  constructor(body: LeftBody, linger: Linger) {
    this.body = body
    this.linger = linger
  }

  answered(): void {
    this.linger.answered()
  }

  discard(chunk: Buffer | null): boolean {
    if (chunk === null || !this.isWanted(chunk)) return this.linger.discard(chunk)
    this.body.buffer(chunk)
    return this.linger.pass(chunk.length)
  }

  private isWanted({ length }: Buffer): boolean {
    const { req, limit, received } = this.body
    if (this.isLost || flowsUnread(req)) return false
    this.passed += length
    this.isLost = received + this.passed > limit || req.readableLength + length > SMALL_REST
    if (this.isLost) this.body.loseRest()
    return !this.isLost
  }
}

/**
 * Leaves the rest of an answered body to the reader that has begun. Without one, it is discarded. Over HTTP/2 the
 * stream ends with the answer, and the rest with it.
 */
export function leaveRest(body: LeftBody, rest: Rest): Rest {
  if (!(rest instanceof Linger)) return rest
  if (isBegun(body.req)) return new BegunRest(body, rest)
  // As in Node, the bytes that have arrived are discarded too: a later reader would take them for the whole body.
  body.req.resume()
  return rest
}
