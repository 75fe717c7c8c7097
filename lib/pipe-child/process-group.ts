import type { ChildProcess } from 'node:child_process'

/** Ends child processes with all that they have started, as far as the system lets us. */
export interface EndOptions {
  readonly killSignal: NodeJS.Signals
  readonly forceKillAfterMs: number
}

/** How often it is looked whether the whole group is gone. */
const WATCH_EVERY_MS = 50

/**
 * Sends `killSignal` to the child's process group, and SIGKILL to what is left of it after `forceKillAfterMs`.
 *
 * A child leads a group of its own when it was spawned with `detached: true`. Of any other child only the process
 * itself can be reached: `sh -c` would die and leave its command running.
 *
 * @see https://github.com/nodejs/node/issues/46865
 */
export function endProcessGroup(child: ChildProcess, { killSignal, forceKillAfterMs }: EndOptions): void {
  if (!signalGroup(child, killSignal)) return
  // Kept alive on purpose: a server that shuts down must not leave a stubborn child behind.
  const force = setTimeout(() => {
    clearInterval(watch)
    signalGroup(child, 'SIGKILL')
  }, forceKillAfterMs)
  // Nobody tells of the end of a grandchild.
  const watch = setInterval(() => {
    if (signalGroup(child, 0)) return
    clearInterval(watch)
    clearTimeout(force)
  }, WATCH_EVERY_MS)
}

/** Returns false when there is nobody left to signal. Signal 0 only asks. */
function signalGroup(child: ChildProcess, signal: NodeJS.Signals | 0): boolean {
  if (child.pid === undefined) return false
  try {
    return process.kill(-child.pid, signal)
  } catch {
    return isRunning(child) && child.kill(signal)
  }
}

/** Tells whether the child has not exited yet. */
export function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null
}
