import { timers } from '../../../node/timers.js'
import type { Connection } from './connection.js'
import { runOutside } from './outside.js'

/** The time for which a connection is kept if its server gives none. Node's servers close theirs after 5 s. */
const IDLE_MS = 4000
/** The margin for the time that a request travels, which the server counts too. */
const MARGIN_MS = 1000
/** The largest hint that is believed. */
const MAX_IDLE_MS = 600_000

/** Returns how long a connection may be idle, given its server's hint; 0 means that it may not. */
export function idleMs(hint: number | undefined): number {
  return hint === undefined ? IDLE_MS : Math.min(Math.max(hint * 1000 - MARGIN_MS, 0), MAX_IDLE_MS)
}

/**
 * The idle connections of a pool. The most recently used one is taken first, so that the others expire. One timer
 * serves all of them, and does not keep the process alive.
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
    connection.expiresAt = timers.now() + milliseconds
    this.connections.push(connection)
    this.wake(milliseconds)
  }

  /** Takes a connection, and ends those that are outdated. */
  take(): Connection | undefined {
    let last = this.connections.pop()
    while (last?.isOutdated === true) {
      last.destroy()
      last = this.connections.pop()
    }
    return last
  }

  /** Forgets a connection that has ended by itself. */
  forget(connection: Connection): void {
    const index = this.connections.lastIndexOf(connection)
    if (index !== -1) this.connections.splice(index, 1)
  }

  /** Ends all of them. */
  clear(): void {
    for (const connection of this.connections.splice(0)) connection.destroy()
  }

  /** Makes the timer fire after `milliseconds`, unless it fires earlier. */
  wake(milliseconds: number = IDLE_MS): void {
    const at = timers.now() + milliseconds
    if (this.timer !== undefined && this.wakesAt <= at) return
    timers.clearTimeout(this.timer)
    this.wakesAt = at
    this.timer = runOutside(() => timers.setTimeout(sweep, Math.max(milliseconds, 1), this).unref())
  }

  sweep(): void {
    this.timer = undefined
    const now = timers.now()
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
