import type { IncomingMessage } from 'node:http'
import { HeldClosing } from '../node/connection/closing.js'
import { type ConnectionWatcher, unwatchConnection, watchConnection } from '../node/connection/watchers.js'
import type { OutgoingResponse, ServerSocket } from '../node/internals.js'
import { isHttp2 } from '../node/request/facts.js'
import { closesAfter } from '../node/response/state.js'
import { timers } from '../node/timers.js'
import type { BodyStore } from './kept/store.js'
import type { BodyState } from './views.js'

/** The time, in milliseconds, for which a reader may leave available bytes untouched. */
const PATIENCE_MS = 10_000

/** The body that is read after its response. */
export interface LateReadingOwner {
  readonly req: IncomingMessage
  readonly res: OutgoingResponse
  readonly socket: ServerSocket
  /** True in a function adapter, whose socket may be a plain object. */
  readonly isOfHost: boolean
  /** The store, if the body is kept. */
  readonly store: BodyStore | undefined
  readonly state: BodyState
  readonly readers: {
    readonly taken: number
    isAwaited(store: BodyStore): boolean
  }
  /** The number of bytes that have arrived. */
  readonly received: number
  /** Releases the body, even if it is still being read. */
  stopReading(): void
  /** Releases the body without telling the readers of the request. */
  abandon(): void
}

/**
 * Keeps a body after its response for the readers of the request that were active by then: an application that
 * answers 202 and goes on to store the upload gets all of it, as it does without bodyCache.
 *
 * The body is given up if its readers stop taking bytes, or if the client leaves before it has sent everything.
 * Readers of the request are not told that a client has left after its response, as Node does not tell them either.
 */
export class LateReading implements ConnectionWatcher {
  private readonly owner: LateReadingOwner
  private readonly timer: NodeJS.Timeout | undefined
  private readonly closing: HeldClosing | undefined
  private taken: number

  constructor(owner: LateReadingOwner) {
    const { socket, req, res, state, store, isOfHost } = owner
    this.owner = owner
    if (state === 'arriving' && !isHttp2(req) && closesAfter(res) && !isOfHost)
      this.closing = new HeldClosing(socket)
    this.taken = this.takenSoFar
    // A loop that is left destroys the request in a later turn than the one that ended the response.
    if (store === undefined) req.once('close', this.requestClosed)
    // Without a store, only Node's own buffers hold bytes; nothing waits for the reader but a held connection.
    if (store === undefined && this.closing === undefined) return
    this.timer = timers.setTimeout(check, PATIENCE_MS, this).unref()
    // Over HTTP/2 the body ends with its stream. The connection has many, and would hold the watchers of all.
    if (!isHttp2(req) && !isOfHost) watchConnection(socket, this)
  }

  /** True if Node would have closed the connection after the response. */
  get isCloseDue(): boolean {
    return this.closing?.isDue === true
  }

  bodyIsWhole(): void {
    this.closing?.release()
    if (this.owner.store === undefined) this.end()
  }

  end(): void {
    this.owner.req.off('close', this.requestClosed)
    timers.clearTimeout(this.timer)
    unwatchConnection(this.owner.socket, this)
  }

  private readonly requestClosed = (): void => {
    if (this.owner.state === 'arriving') this.owner.stopReading()
  }

  /** Checks whether any bytes were taken since the last check. */
  check(): void {
    const taken = this.takenSoFar
    if (taken === this.taken && !this.waitsForClient) {
      this.owner.stopReading()
      return
    }
    this.taken = taken
    this.timer?.refresh()
  }

  private get takenSoFar(): number {
    const { store, readers, received, req } = this.owner
    return store === undefined ? received - req.readableLength : readers.taken
  }

  /** Once the body is whole, a reader that has paused before its end is not waiting for the client. */
  private get waitsForClient(): boolean {
    const { state, store, readers, req } = this.owner
    return state === 'arriving' && (store === undefined ? req.readableLength === 0 : readers.isAwaited(store))
  }

  connectionClosed(): void {
    if (this.owner.state === 'arriving') this.owner.abandon()
  }
}

function check(reading: LateReading): void {
  reading.check()
}
