import { timers } from '../../../node/timers.js'
import { runOutside } from './outside.js'

/**
 * The time that one connection gives its server. It starts and stops with each request, so one timer is reused, and
 * does nothing if it fires while it is stopped.
 */
export class Countdown {
  private readonly onOver: () => void
  private timer: NodeJS.Timeout | undefined
  private milliseconds = 0
  private isRunning = false

  constructor(onOver: () => void) {
    this.onOver = onOver
  }

  /** Starts from the beginning. 0 never ends. */
  start(milliseconds: number): void {
    this.isRunning = milliseconds > 0
    if (!this.isRunning) return
    if (this.timer !== undefined && this.milliseconds === milliseconds) this.timer.refresh()
    else this.startNew(milliseconds)
  }

  /** Restarts if it is running. */
  restart(): void {
    if (this.isRunning) this.timer?.refresh()
  }

  stop(): void {
    this.isRunning = false
  }

  /** Clears the timer for good. */
  end(): void {
    this.isRunning = false
    timers.clearTimeout(this.timer)
    this.timer = undefined
  }

  /** Creates the timer. It need not keep the process alive, as the connection does so during a request. */
  private startNew(milliseconds: number): void {
    timers.clearTimeout(this.timer)
    this.milliseconds = milliseconds
    this.timer = runOutside(() => timers.setTimeout(runOut, milliseconds, this).unref())
  }

  runOut(): void {
    if (this.isRunning) this.onOver()
  }
}

function runOut(countdown: Countdown): void {
  countdown.runOut()
}
