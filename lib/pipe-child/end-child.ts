import { outputsOf, type RunningChild } from './running-child.js'

/** How a child is ended, with all that it has started, as far as the system lets us. */
export interface EndSettings {
  readonly killSignal: NodeJS.Signals
  readonly forceKillAfterMs: number
}

/** How often it is looked whether the whole group is gone. */
const WATCH_EVERY_MS = 50

/** What SIGKILL has not ended after this time belongs to another user, or waits for a device. */
const GIVE_UP_AFTER_MS = 1000

/**
 * Ends a child whose response is over, or which got none. What it still writes is discarded meanwhile, so that it is not
 * stuck in the middle of its own cleaning up. Resolves when nothing of it is left.
 */
export async function endChild(child: RunningChild, settings: EndSettings): Promise<void> {
  for (const output of outputsOf(child)) output.resume()
  await endGroup(child, settings)
  // Somebody outside of the group may still hold the other side.
  for (const output of outputsOf(child)) output.close()
}

/** How the child of a refused call is ended, whose options may be wrong. */
const DISCARD: EndSettings = { killSignal: 'SIGTERM', forceKillAfterMs: 5000 }

/** Ends the child of a refused call. */
export async function discardChild(child: RunningChild, settings: EndSettings = DISCARD): Promise<void> {
  await endChild(child, settings)
  await child.started.catch(() => {})
  removeChildListeners(child)
}

export function removeChildListeners(child: RunningChild): void {
  child.removeListeners()
  for (const output of outputsOf(child)) output.removeListeners()
}

/** Sends `killSignal`, and SIGKILL to what is left after `forceKillAfterMs`. */
async function endGroup(child: RunningChild, { killSignal, forceKillAfterMs }: EndSettings): Promise<void> {
  if (!child.signal(killSignal)) return
  if (await isGoneWithin(child, forceKillAfterMs)) return
  child.signal('SIGKILL')
  await isGoneWithin(child, GIVE_UP_AFTER_MS)
}

/** The timers keep the process alive on purpose: a server that shuts down must not leave a stubborn child behind. */
function isGoneWithin(child: RunningChild, milliseconds: number): Promise<boolean> {
  return new Promise((resolve) => {
    const finish = (isGone: boolean): void => {
      clearInterval(watch)
      clearTimeout(limit)
      resolve(isGone)
    }
    const look = (): void => {
      if (!child.signal(0)) finish(true)
    }
    const limit = setTimeout(finish, milliseconds, false)
    // Nothing tells of the end of a grandchild.
    const watch = setInterval(look, WATCH_EVERY_MS)
    void child.exited.then(look)
  })
}
