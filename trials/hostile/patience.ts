const TICKS = 10

/**
 * Waits for silence that lasts. A busy machine may keep the whole process from running for longer than that; timers
 * then run out before the bytes that have come meanwhile are read. So it is counted in ticks, each in its own turn of
 * the event loop.
 */
export class Patience {
  private readonly tickMs: number
  private readonly runOut: () => void
  private left = TICKS
  private timer: NodeJS.Timeout

  constructor(milliseconds: number, runOut: () => void) {
    this.tickMs = milliseconds / TICKS
    this.runOut = runOut
    this.timer = this.next()
  }

  /** Begins anew. */
  renew(): void {
    this.left = TICKS
  }

  end(): void {
    clearTimeout(this.timer)
  }

  private next(): NodeJS.Timeout {
    return setTimeout(() => {
      this.left -= 1
      if (this.left === 0) this.runOut()
      else this.timer = this.next()
    }, this.tickMs)
  }
}
