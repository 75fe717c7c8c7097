import type { IncomingMessage } from 'node:http'
import { HeldClosing } from '../node/closing.js'
import { type ConnectionWatcher, unwatchConnection, watchConnection } from '../node/connection.js'
import type { ServerSocket } from '../node/internals.js'
import { isHttp2 } from '../node/request-facts.js'

/** How long a reader may take nothing of what is there for it, in milliseconds. */
const PATIENCE_MS = 10_000

/** The body that is read after its response. */
export interface LateReadingOwner {
  readonly req: IncomingMessage
  readonly socket: ServerSocket
  /** There is one where the body is kept. */
  readonly store: object | undefined
  /** 'arriving' while the client has more to send. */
  readonly state: string
  /** True while a reader has taken all that has come and wants more. */
  readonly isAwaited: boolean
  readonly readers: { readonly taken: number }
  /** Releases the body, whatever is still read of it. */
  stopReading(): void
  /** Releases the body without a word to its readers. */
  abandon(): void
}

/**
 * Keeps a body whose response has ended for the readers of the request that were at work by then: an application that
 * answers 202 and goes on to store the upload gets all of it, as it does without bodyCache.
 *
 * It is given up with a reader that stops taking bytes, and with a client that leaves before it has sent all. Node says
 * nothing to readers of a client that leaves after its response; nor does this.
 */
export class LateReading implements ConnectionWatcher {
  private readonly owner: LateReadingOwner
  private readonly timer: NodeJS.Timeout | undefined
  private readonly closing: HeldClosing | undefined
  private taken: number

  constructor(owner: LateReadingOwner) {
    const { socket, req, state, store } = owner
    this.owner = owner
    this.taken = owner.readers.taken
    if (state === 'arriving' && !isHttp2(req)) this.closing = new HeldClosing(socket)
    // Without a store, nothing is held but what Node holds too.
    if (store === undefined) return
    this.timer = setTimeout(check, PATIENCE_MS, this).unref()
    watchConnection(socket, this)
  }

  /** True where Node would have closed the connection behind the response. */
  get isCloseDue(): boolean {
    return this.closing?.isDue === true
  }

  bodyIsWhole(): void {
    this.closing?.release()
  }

  end(): void {
    clearTimeout(this.timer)
    if (this.timer !== undefined) unwatchConnection(this.owner.socket, this)
  }

  /** Looks whether anything was taken since the last time. */
  check(): void {
    const { taken } = this.owner.readers
    // With the body whole nothing more comes: a reader that has paused before its end is not waiting for the client.
    const waitsForClient = this.owner.state === 'arriving' && this.owner.isAwaited
    if (taken === this.taken && !waitsForClient) {
      this.owner.stopReading()
      return
    }
    this.taken = taken
    this.timer?.refresh()
  }

  connectionClosed(): void {
    if (this.owner.state === 'arriving') this.owner.abandon()
  }
}

function check(reading: LateReading): void {
  reading.check()
}
