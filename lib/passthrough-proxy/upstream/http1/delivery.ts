import { AsyncResource } from 'node:async_hooks'
import type { Duplex } from 'node:stream'
import { timers } from '../../../node/timers.js'
import type { Linked } from '../../../shared/linked-list.js'
import type { Attempt, Failure, Receiver, Sending, UpstreamRequest } from '../upstream.js'
import type { WrittenHead } from './request-writer.js'
import type { Upload } from './upload.js'

/** The holder of a request: the queue of a pool, or the connection that carries it. */
export interface Holder {
  drop(delivery: Delivery): void
  pause(): void
  resume(): void
}

/**
 * One request, from `send` to its end. Its receiver is called in the async context in which the request was sent,
 * even if another request opened the connection.
 */
export class Delivery extends AsyncResource implements Attempt, Sending, Linked<Delivery> {
  readonly request: UpstreamRequest
  readonly receiver: Receiver
  readonly head: WrittenHead
  holder: Holder | undefined
  isReused = false
  /** True while a connection is being opened for it. */
  hasOpening = false
  /** The bytes of a body in memory that went out at once. */
  bytesWritten = 0
  /** A body that does not go out at once. */
  upload: Upload | undefined
  private isOver = false
  before: Delivery | undefined
  after: Delivery | undefined
  isListed = false

  constructor(request: UpstreamRequest, receiver: Receiver, head: WrittenHead) {
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
    return this.upload?.sent ?? this.bytesWritten
  }

  pause(): void {
    this.holder?.pause()
  }

  resume(): void {
    this.holder?.resume()
  }

  /** Ends the delivery: from now on, what its receiver calls has no effect on any connection. */
  end(): void {
    this.isOver = true
    this.holder = undefined
  }

  /** Hands the connection over to the receiver, and ends the delivery. An exception of the receiver ends both. */
  handOver(lines: string[], connection: Duplex, early: Buffer): void {
    try {
      this.receiver.onUpgraded(lines, connection, early)
      this.end()
    } catch (thrown) {
      connection.destroy()
      this.fail({ kind: 'malformed', maybeHeard: true, cause: thrown })
    }
  }

  fail(failure: Failure): void {
    if (this.isOver) return
    this.end()
    this.runInAsyncScope(() => this.receiver.onFailure(failure))
  }

  /** Fails in the next tick, once the caller has the result of `send`. */
  failSoon(failure: Failure): void {
    timers.nextTick(failNow, this, failure)
  }
}

function failNow(delivery: Delivery, failure: Failure): void {
  delivery.fail(failure)
}
