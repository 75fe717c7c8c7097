import { timers } from '../../node/timers.js'
import type { Stoppable } from '../progress.js'

/** The most bytes of a body that are discarded to keep its connection; a longer rest costs more. */
export const MAX_DISCARDED_BYTES: number = 256 * 1024

/** The longest wait, in milliseconds, for the end of a body. */
const MAX_DISCARD_MS = 500

/** The exchange as the rest of its response sees it. */
interface Leavable {
  leaveUpstream(): void
}

/** The place where the rests that are being discarded are listed. */
interface Rests {
  beginRest(rest: DiscardedBody): void
  endRest(rest: DiscardedBody): void
}

/**
 * Discards the rest of a response that is no longer needed, within bounds, so that its connection can serve another
 * request.
 */
export class DiscardedBody implements Stoppable {
  private readonly upstream: Leavable
  private readonly rests: Rests
  private readonly timer: NodeJS.Timeout
  private discarded = 0
  before: Stoppable | undefined
  after: Stoppable | undefined
  isListed = false

  constructor(upstream: Leavable, rests: Rests) {
    this.upstream = upstream
    this.rests = rests
    this.timer = timers.setTimeout(() => this.stop(), MAX_DISCARD_MS).unref()
    rests.beginRest(this)
  }

  write(chunk: Buffer): void {
    this.discarded += chunk.length
    if (this.discarded > MAX_DISCARDED_BYTES) this.stop()
  }

  /** Ends the wait: the upstream has sent its last byte, or has failed. */
  end(): void {
    timers.clearTimeout(this.timer)
    this.rests.endRest(this)
  }

  /** Ends the connection. */
  stop(): void {
    this.end()
    this.upstream.leaveUpstream()
  }
}
