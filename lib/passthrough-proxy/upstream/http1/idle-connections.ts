import type { Connection } from './connection.js'
import { runOutside } from './outside.js'

/** How long a connection is kept whose server says nothing of it. Node's servers close theirs after 5 s. */
const IDLE_MS = 4000
/** A server's own count runs while a request is on its way. */
const MARGIN_MS = 1000
/** No hint is believed beyond this. */
const MOST_MS = 600_000

/** How long a connection may be idle, by what its server says; 0: not at all. */
export function idleMs(hint: number | undefined): number {
  return hint === undefined ? IDLE_MS : Math.min(Math.max(hint * 1000 - MARGIN_MS, 0), MOST_MS)
}

/**
 * The idle connections of a pool. The one that was used last goes first, so that the others grow old. One timer looks
 * after all of them, and holds no process.
 */
export class IdleConnections {
  private readonly connections: Connection[] = []
  private readonly onQuiet: () => void
  private timer: NodeJS.Timeout | undefined
  private wakesAt = 0

  /** `onQuiet` is called when there has been no idle connection for a while. */
  constructor(onQuiet: () => void) {
    this.onQuiet = onQuiet
  }

  put(connection: Connection, milliseconds: number): void {
    connection.expiresAt = performance.now() + milliseconds
    this.connections.push(connection)
    this.wake(milliseconds)
  }

  take(): Connection | undefined {
    return this.connections.pop()
  }

  /** Forgets one that has ended by itself. */
  forget(connection: Connection): void {
    const index = this.connections.lastIndexOf(connection)
    if (index !== -1) this.connections.splice(index, 1)
  }

  /** Ends them all. */
  clear(): void {
    for (const connection of this.connections.splice(0)) connection.destroy()
  }

  /** Looks after them in so many milliseconds, if not before. */
  wake(milliseconds: number = IDLE_MS): void {
    const at = performance.now() + milliseconds
    if (this.timer !== undefined && this.wakesAt <= at) return
    clearTimeout(this.timer)
    this.wakesAt = at
    this.timer = runOutside(() => setTimeout(sweep, Math.max(milliseconds, 1), this).unref())
  }

  sweep(): void {
    this.timer = undefined
    const now = performance.now()
    for (const connection of this.connections.filter(({ expiresAt }) => expiresAt <= now)) {
      this.forget(connection)
      connection.destroy()
    }
    if (this.connections.length === 0) return this.onQuiet()
    this.wake(Math.min(...this.connections.map(({ expiresAt }) => expiresAt)) - now)
  }
}

function sweep(idle: IdleConnections): void {
  idle.sweep()
}
