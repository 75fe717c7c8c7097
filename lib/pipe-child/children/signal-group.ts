/**
 * Signals the process group that `pid` leads; 0 only asks. Returns false where there is none, or none we may signal.
 *
 * A child leads a group of its own when it was spawned with `detached: true`, or by a pseudo-terminal. Of any other
 * child only the process itself can be reached: `sh -c` would die and leave its command running.
 *
 * No group is led by 0 or 1, which mocks of a child have: to `kill`, these are our own group, and every process.
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
