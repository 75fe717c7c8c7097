/** The most bytes of a body that are discarded to keep its connection; a longer rest costs more. */
export const MOST_DISCARDED: number = 256 * 1024

/** The longest wait, in milliseconds, for the end of a body. */
const LONGEST_DISCARD_MS = 500

/**
 * Discards the rest of a response that is no longer needed, within bounds, so that its connection can serve another
 * request.
 */
export class DiscardedBody {
  private readonly leave: () => void
  private readonly timer: NodeJS.Timeout
  private discarded = 0

  /** `leave` ends the connection. */
  constructor(leave: () => void) {
    this.leave = leave
    this.timer = setTimeout(leave, LONGEST_DISCARD_MS).unref()
  }

  write(chunk: Buffer): void {
    this.discarded += chunk.length
    if (this.discarded <= MOST_DISCARDED) return
    this.end()
    this.leave()
  }

  /** Ends the wait: the upstream has sent its last byte, or has failed. */
  end(): void {
    clearTimeout(this.timer)
  }
}
