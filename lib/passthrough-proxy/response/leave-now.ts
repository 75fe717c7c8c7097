import type { ServerResponse } from 'node:http'

import { isUntouched } from './untouched.js'

/**
 * Hands what a response has written to the kernel now; Node would wait until the end of this tick. Returns true where
 * the kernel has taken all of it, so that nobody holds the chunks any more.
 */
export function leaveNow(res: ServerResponse): boolean {
  const { socket } = res
  if (socket === null || !isUntouched(res)) return false
  // From Node 26 on the response itself holds chunks back.
  if (res.writableCorked > 0) res.uncork()
  else socket.uncork()
  return res.writableLength === 0
}

/** What Node writes in one piece with the head: the system call for two pieces takes longer than to copy them. */
const SMALL = 8 * 1024

/** Ends a response behind its last bytes. Returns true where nobody holds those. */
export function endWith(res: ServerResponse, last: Buffer | undefined): boolean {
  if (last === undefined) {
    res.end()
    return true
  }
  if (!isUntouched(res)) {
    // As pipe() does it: the application may have put itself in front of `write` alone.
    res.write(last)
    res.end()
    return false
  }
  const isSmall = last.length <= SMALL
  if (isSmall) res.end(last.toString('latin1'), 'latin1')
  else res.end(last)
  return isSmall
}
