import type { Coalesce } from './mount-settings.js'

/** Runs `flush` once for all the writes of a burst. */
export class FlushSchedule {
  private readonly coalesce: Coalesce
  private readonly flush: () => void
  private pending = false
  private timer: NodeJS.Timeout | undefined

  constructor(coalesce: Coalesce, flush: () => void) {
    this.coalesce = coalesce
    this.flush = flush
  }

  /** Tells that something waits to be flushed. */
  wrote(): void {
    if (this.pending) return
    this.pending = true
    if (this.coalesce === 'immediate') setImmediate(flushPending, this)
    else if (this.coalesce === 'tick') process.nextTick(flushPending, this)
    else this.timer = setTimeout(flushPending, this.coalesce, this).unref()
  }

  /** Flushes now if something waits. */
  now(): void {
    if (!this.pending) return
    this.cancel()
    this.flush()
  }

  /** Forgets what waits, as the response is over. */
  cancel(): void {
    this.pending = false
    clearTimeout(this.timer)
  }
}

function flushPending(schedule: FlushSchedule): void {
  schedule.now()
}
