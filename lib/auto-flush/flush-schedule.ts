import { timers } from '../node/timers.js'
import type { Coalesce } from './mount-settings.js'

/** Runs `flush` once for all writes of a burst. */
export class FlushSchedule {
  private readonly coalesce: Coalesce
  private readonly flush: () => void
  private pending = false
  private timer: NodeJS.Timeout | undefined

  constructor(coalesce: Coalesce, flush: () => void) {
    this.coalesce = coalesce
    this.flush = flush
  }

  /** Notes that a write waits for a flush. */
  wrote(): void {
    if (this.pending) return
    this.pending = true
    if (this.coalesce === 'immediate') timers.setImmediate(flushPending, this)
    else if (this.coalesce === 'tick') timers.nextTick(flushPending, this)
    else this.timer = timers.setTimeout(flushPending, this.coalesce, this).unref()
  }

  /** Flushes now if any write waits. */
  now(): void {
    if (!this.pending) return
    this.pending = false
    timers.clearTimeout(this.timer)
    this.flush()
  }
}

function flushPending(schedule: FlushSchedule): void {
  schedule.now()
}
