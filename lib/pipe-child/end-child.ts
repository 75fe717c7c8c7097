import { timers } from '../node/timers.js'
import { outputsOf, type RunningChild } from './running-child.js'

/** The way in which a child and the processes that it has started are ended. */
export interface EndSettings {
  readonly killSignal: NodeJS.Signals
  readonly forceKillAfterMs: number
}

/** The interval at which we check whether the whole group has ended. */
const WATCH_EVERY_MS = 50

/** A process that survives SIGKILL for this long belongs to another user, or waits for a device. */
const GIVE_UP_AFTER_MS = 1000

/**
 * Ends a child whose response is over, or that never had one. Its further output is discarded, so that a full pipe does
 * not block it while it cleans up. Resolves when the whole group has ended.
 */
export async function endChild(child: RunningChild, settings: EndSettings): Promise<void> {
  for (const output of outputsOf(child)) output.resume()
  await endGroup(child, settings)
  // A process outside of the group may still hold the other end.
  for (const output of outputsOf(child)) output.close()
}

/** The settings for the child of a rejected call, whose own options may be wrong. */
const DISCARD: EndSettings = { killSignal: 'SIGTERM', forceKillAfterMs: 5000 }

/** Ends the child of a rejected call. */
export async function discardChild(child: RunningChild, settings: EndSettings = DISCARD): Promise<void> {
  await endChild(child, settings)
  await child.started.catch(() => {})
  removeChildListeners(child)
}

export function removeChildListeners(child: RunningChild): void {
  child.removeListeners()
  for (const output of outputsOf(child)) output.removeListeners()
}

/** Sends `killSignal`, and SIGKILL to the processes that are left after `forceKillAfterMs`. */
async function endGroup(child: RunningChild, { killSignal, forceKillAfterMs }: EndSettings): Promise<void> {
  if (!child.signal(killSignal)) return
  if (await isGoneWithin(child, forceKillAfterMs)) return
  child.signal('SIGKILL')
  await isGoneWithin(child, GIVE_UP_AFTER_MS)
}

/**
 * Resolves with true once the whole group has ended, or with false after `milliseconds`. The timers keep the process
 * alive on purpose: a server that shuts down must not leave a stubborn child behind.
 */
function isGoneWithin(child: RunningChild, milliseconds: number): Promise<boolean> {
  return new Promise((resolve) => {
    const finish = (isGone: boolean): void => {
      timers.clearInterval(watch)
      timers.clearTimeout(limit)
      resolve(isGone)
    }
    const look = (): void => {
      if (!child.signal(0)) finish(true)
    }
    const limit = timers.setTimeout(finish, milliseconds, false)
    // There is no event for the end of a grandchild.
    const watch = timers.setInterval(look, WATCH_EVERY_MS)
    void child.exited.then(look)
  })
}
