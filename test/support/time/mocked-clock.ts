import { timers } from './own-timers.js'
import { turns } from './turns.js'

interface MockedTimer {
  at: number
  readonly call: () => void
  readonly unref: () => MockedTimer
  readonly ref: () => MockedTimer
  readonly refresh: () => MockedTimer
}

const real = { setTimeout, clearTimeout, now: performance.now.bind(performance) }
const realOfSluiceway = { ...timers }

/** The clock of this process and of sluiceway, for `setTimeout` and `performance.now()`. It stands still until a test advances it. */
export class MockedClock {
  private now = 0
  private readonly timers = new Set<MockedTimer>()

  /** Stops the clock. `restore` lets it run by itself again. */
  stop(): void {
    const set = (callback: (...args: unknown[]) => void, delay = 0, ...args: unknown[]): MockedTimer => {
      const start = (timer: MockedTimer): MockedTimer => {
        timer.at = this.now + delay
        this.timers.add(timer)
        return timer
      }
      const itself = function (this: MockedTimer): MockedTimer {
        return this
      }
      const refresh = function (this: MockedTimer): MockedTimer {
        return start(this)
      }
      return start({ at: 0, call: () => callback(...args), unref: itself, ref: itself, refresh })
    }
    const clear = (timer: unknown): void => {
      if (!this.timers.delete(timer as MockedTimer)) real.clearTimeout(timer as NodeJS.Timeout)
    }
    Object.assign(globalThis, { setTimeout: set, clearTimeout: clear })
    Object.assign(timers, { setTimeout: set, clearTimeout: clear, now: () => this.now })
    performance.now = () => this.now
  }

  restore(): void {
    Object.assign(globalThis, { setTimeout: real.setTimeout, clearTimeout: real.clearTimeout })
    Object.assign(timers, realOfSluiceway)
    performance.now = real.now
    this.timers.clear()
  }

  /** How many timers are set. */
  get pending(): number {
    return this.timers.size
  }

  /** Lets time pass in one turn of the event loop, and runs every timer that is due. */
  jump(milliseconds: number): void {
    const end = this.now + milliseconds
    for (;;) {
      const [next] = [...this.timers].filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)
      if (next === undefined) break
      this.timers.delete(next)
      this.now = next.at
      next.call()
    }
    this.now = end
  }

  /** Lets time pass, and then the event loop run. */
  async pass(milliseconds: number): Promise<void> {
    await turns()
    this.jump(milliseconds)
    await turns()
  }

  /** Lets time pass in steps until something has happened: the coarse clock of undici needs more than one. */
  async passUntil<Value>(happening: Promise<Value>, milliseconds: number): Promise<Value> {
    const state = { isOver: false }
    const end = (): void => void (state.isOver = true)
    happening.then(end, end)
    // No step may be under way behind it: it would take time from what comes next.
    for (await turns(1); !state.isOver;) await this.pass(milliseconds)
    return happening
  }
}
