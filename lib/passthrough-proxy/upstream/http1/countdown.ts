import { runOutside } from './outside.js'

/**
 * The time that one connection gives its server. It is started and stopped with each request, so one timer is used
 * again and again, and a stopped one runs out unheard.
 */
export class Countdown {
  private readonly onOver: () => void
  private timer: NodeJS.Timeout | undefined
  private milliseconds = 0
  private isRunning = false

  constructor(onOver: () => void) {
    this.onOver = onOver
  }

  /** Starts from the beginning. 0: never over. */
  start(milliseconds: number): void {
    this.isRunning = milliseconds > 0
    if (!this.isRunning) return
    if (this.timer !== undefined && this.milliseconds === milliseconds) this.timer.refresh()
    else this.startNew(milliseconds)
  }

  /** Starts again where it is running. */
  restart(): void {
    if (this.isRunning) this.timer?.refresh()
  }

  stop(): void {
    this.isRunning = false
  }

  /** Leaves no timer behind. */
  end(): void {
    this.isRunning = false
    clearTimeout(this.timer)
    this.timer = undefined
  }

  /** The connection itself holds the process while a request is under way. */
  private startNew(milliseconds: number): void {
    clearTimeout(this.timer)
    this.milliseconds = milliseconds
    this.timer = runOutside(() => setTimeout(runOut, milliseconds, this).unref())
  }

  runOut(): void {
    if (!this.isRunning) return
    this.isRunning = false
    this.onOver()
  }
}

function runOut(countdown: Countdown): void {
  countdown.runOut()
}
