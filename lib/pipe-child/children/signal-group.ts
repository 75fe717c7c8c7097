/**
 * Signals the process group that `pid` leads; 0 only checks. Returns false if there is no such group, or no permission.
 *
 * A child leads a group of its own if it was spawned with `detached: true`, or by a pseudo-terminal. Of any other child,
 * only the process itself can be signalled: `sh -c` would end and leave its command running.
 *
 * Mocks of a child may have the pid 0 or 1. For `kill`, these would be our own group, and every process.
 *
 * @see https://github.com/nodejs/node/issues/46865
 */
export function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  if (pid <= 1) return false
  try {
    return process.kill(-pid, signal)
  } catch {
    return false
  }
}
