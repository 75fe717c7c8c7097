import type { IncomingMessage } from 'node:http'
import { HeldClosing } from '../node/closing.js'
import {
  closesAfter,
  type ConnectionWatcher,
  unwatchConnection,
  watchConnection,
} from '../node/connection.js'
import type { OutgoingResponse, ServerSocket } from '../node/internals.js'
import { isHttp2 } from '../node/request-facts.js'
import { timers } from '../node/timers.js'
import type { BodyStore } from './kept/store.js'

/** The time, in milliseconds, for which a reader may leave available bytes untouched. */
const PATIENCE_MS = 10_000

/** The body that is read after its response. */
export interface LateReadingOwner {
  readonly req: IncomingMessage
  readonly res: OutgoingResponse
  readonly socket: ServerSocket
  /** The store, if the body is kept. */
  readonly store: BodyStore | undefined
  /** 'arriving' while the client has more to send. */
  readonly state: string
  readonly readers: {
    readonly taken: number
    isAwaited(store: BodyStore): boolean
  }
  /** Releases the body, even if it is still being read. */
  stopReading(): void
  /** Releases the body without telling its readers. */
  abandon(): void
}

/**
 * Keeps a body after its response for the readers of the request that were active by then: an application that
 * answers 202 and goes on to store the upload gets all of it, as it does without bodyCache.
 *
 * The body is given up if its readers stop taking bytes, or if the client leaves before it has sent everything.
 * Readers are not told that a client has left after its response, as Node does not tell them either.
 */
export class LateReading implements ConnectionWatcher {
  private readonly owner: LateReadingOwner
  private readonly timer: NodeJS.Timeout | undefined
  private readonly closing: HeldClosing | undefined
  private taken: number

  constructor(owner: LateReadingOwner) {
    const { socket, req, res, state, store } = owner
    this.owner = owner
    this.taken = owner.readers.taken
    if (state === 'arriving' && !isHttp2(req) && closesAfter(res)) this.closing = new HeldClosing(socket)
    // Without a store, only Node's own buffers hold bytes.
    if (store === undefined) return
    this.timer = timers.setTimeout(check, PATIENCE_MS, this).unref()
    watchConnection(socket, this)
  }

  /** True if Node would have closed the connection after the response. */
  get isCloseDue(): boolean {
    return this.closing?.isDue === true
  }

  bodyIsWhole(): void {
    this.closing?.release()
  }

  end(): void {
    timers.clearTimeout(this.timer)
    unwatchConnection(this.owner.socket, this)
  }

  /** Checks whether any bytes were taken since the last check. */
  check(): void {
    const { readers, state, store } = this.owner
    const { taken } = readers
    // Once the body is whole, a reader that has paused before its end is not waiting for the client.
    const waitsForClient = state === 'arriving' && store !== undefined && readers.isAwaited(store)
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
