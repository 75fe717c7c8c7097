import { isBegun } from '../../node/connection/connection.js'
import { isHttp2 } from '../../node/request/facts.js'
import type { AnsweredBody } from '../views.js'
import { SMALL_REST } from './announce-close.js'
import type { Rest } from './rest.js'

/** A body of which a reader has had a part when its request was answered. It is not kept. */
export interface BegunBody extends AnsweredBody {
  readonly limit: number
  readonly received: number
  /** Puts a chunk into the request's own buffer. */
  buffer(chunk: Buffer): boolean
  /** Makes every later reader of the request fail. */
  loseRest(): void
}

/**
 * Gives the rest of an answered body to a reader that has begun, and may go on: code that looks at the first bytes,
 * answers, and then stores the upload. While it does not read, the request holds as much as would be discarded to keep
 * the connection; of a larger rest the reader gets an error, and never a part of the body as if it were the whole.
 */
class BegunRest implements Rest {
  private readonly body: BegunBody
  private readonly rest: Rest
  private passed = 0
  private isLost = false

  constructor(body: BegunBody, rest: Rest) {
    this.body = body
    this.rest = rest
  }

  closeAfterAnswer(): void {
    this.rest.closeAfterAnswer()
  }

  answered(): void {
    // The stream ends with its answer.
    if (isHttp2(this.body.req)) this.lose()
    this.rest.answered()
  }

  discard(chunk: Buffer | null): boolean {
    if (chunk !== null && !this.isLost) this.pass(chunk)
    return this.rest.discard(chunk)
  }

  private pass(chunk: Buffer): void {
    const { body } = this
    this.passed += chunk.length
    const isTooLarge = body.received + this.passed > body.limit
    if (isTooLarge || body.req.readableLength + chunk.length > SMALL_REST) this.lose()
    // The memory of a discarded chunk may be freed.
    else body.buffer(Buffer.from(chunk))
  }

  private lose(): void {
    this.isLost = true
    this.body.loseRest()
  }
}

/** Leaves the rest of an answered body that is not kept to the reader that has begun; without one, to nobody. */
export function leaveRest(body: BegunBody, rest: Rest): Rest {
  if (isBegun(body.req)) return new BegunRest(body, rest)
  if (isHttp2(body.req)) return rest
  // As Node does: what has come is discarded too, or a later reader would get it as if it were the whole.
  body.req.resume()
  return rest
}
