import { AsyncResource } from 'node:async_hooks'

import type { Failure, Receiver, Sending, UpstreamRequest, Waiting } from '../upstream.js'
import type { RequestHead } from './request-writer.js'
import type { Upload } from './upload.js'

/** What holds a request: the queue of a pool, or the connection on which it goes out. */
export interface Holder {
  drop(delivery: Delivery): void
  pause(): void
  resume(): void
}

/**
 * One request, from `send` to its end. Whoever opened the connection, its receiver hears everything in the context in
 * which the request was sent.
 */
export class Delivery extends AsyncResource implements Waiting, Sending {
  readonly request: UpstreamRequest
  readonly receiver: Receiver
  readonly head: RequestHead
  holder: Holder | undefined
  isReused = false
  /** All of a body in memory has gone out. */
  isWritten = false
  /** A body that does not go out at once. */
  upload: Upload | undefined
  private isOver = false

  constructor(request: UpstreamRequest, receiver: Receiver, head: RequestHead) {
    super('SLUICEWAY_REQUEST')
    this.request = request
    this.receiver = receiver
    this.head = head
  }

  abandon(): void {
    const { holder } = this
    this.end()
    holder?.drop(this)
  }

  get bytesSent(): number {
    const { body } = this.request
    if (this.upload !== undefined) return this.upload.sent
    return this.isWritten && body !== null ? Buffer.byteLength(body as string | Buffer) : 0
  }

  pause(): void {
    this.holder?.pause()
  }

  resume(): void {
    this.holder?.resume()
  }

  /** The receiver has heard the last of it. Whatever it still says to it reaches no connection. */
  end(): void {
    this.isOver = true
    this.holder = undefined
  }

  fail(failure: Failure): void {
    if (this.isOver) return
    this.end()
    this.runInAsyncScope(() => this.receiver.onFailure(failure))
  }

  /** Once the caller knows what it has sent. */
  failSoon(failure: Failure): void {
    process.nextTick(failNow, this, failure)
  }

  /** It may be sent twice without doing anything twice (RFC 9110 §9.2.2). */
  get isRepeatable(): boolean {
    const { method, body, upgrade } = this.request
    return idempotent.has(method) && body === null && upgrade === undefined
  }
}

const idempotent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

function failNow(delivery: Delivery, failure: Failure): void {
  delivery.fail(failure)
}
