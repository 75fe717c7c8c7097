// How many files a process may have open: a stream through a proxy is two of them.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** Raises the limit of this process, and so of those that it starts, to `wanted` where the system allows it; gives what it is then. */
export function allowOpenFiles(wanted) {
  const limit = currentLimit()
  if (limit >= wanted) return limit
  try {
    execFileSync('prlimit', ['--pid', String(process.pid), `--nofile=${wanted}:${wanted}`], {
      stdio: 'ignore',
    })
  } catch {
    // Only root may raise the hard limit; in a container, often not even root.
  }
  return currentLimit()
}

/** No limit is known where the system has no /proc. */
function currentLimit() {
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8')
    return Number(/^Max open files +(\d+)/m.exec(limits)[1])
  } catch {
    return Infinity
  }
}
