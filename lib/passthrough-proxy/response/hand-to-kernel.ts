import type { ServerResponse } from 'node:http'
import { isUntouched } from '../../node/response/untouched-response.js'

/**
 * Hands the written bytes of a response to the kernel now; Node would wait until the end of this tick. Returns true
 * if the kernel has taken all of them, so that the memory of the chunks is free.
 */
export function leaveNow(res: ServerResponse): boolean {
  const { socket } = res
  if (socket === null || !isUntouched(res)) return false
  // From Node 26 on the response itself holds chunks back.
  if (res.writableCorked > 0) res.uncork()
  else socket.uncork()
  return res.writableLength === 0
}

/** The size up to which bytes are copied next to the head, or into their frame: another piece would take longer. */
export const SMALL: number = 8 * 1024

/** Ends a response after its last bytes. Returns true if their memory is free. */
export function endWith(res: ServerResponse, last: Buffer | undefined): boolean {
  if (last === undefined) {
    res.end()
    return true
  }
  if (!isUntouched(res)) {
    // As in pipe(): the application may have replaced only `write`.
    res.write(last)
    res.end()
    return false
  }
  const isSmall = last.length <= SMALL
  if (isSmall) res.end(last.toString('latin1'), 'latin1')
  else res.end(last)
  return isSmall
}
