import { OutgoingMessage, type ServerResponse } from 'node:http'
import { Socket } from 'node:net'

/** Not that of ServerResponse: tracers put methods of their own there. */
const native = OutgoingMessage.prototype

/**
 * Hands what a response has written to the kernel now; Node would wait until the end of this tick. Returns true where
 * the kernel has taken all of it, so that nobody holds the chunks any more.
 */
export function leaveNow(res: ServerResponse): boolean {
  const { socket } = res
  if (socket === null || !isNative(res)) return false
  // From Node 26 on the response itself holds chunks back.
  if (res.writableCorked > 0) res.uncork()
  else socket.uncork()
  return res.writableLength === 0
}

/** What Node writes in one piece with the head: the system call for two pieces takes longer than to copy them. */
const SMALL = 8 * 1024

/** Ends a response behind its last bytes. Returns true where nobody holds those. */
export function endWith(res: ServerResponse, last: Buffer | undefined): boolean {
  if (last !== undefined && last.length <= SMALL && isNative(res)) {
    res.end(last.toString('latin1'), 'latin1')
    return true
  }
  res.end(last)
  return last === undefined
}

/** Whatever stands in front of Node's own methods may keep what it was given, and so may a stream that is no socket. */
function isNative(res: ServerResponse): boolean {
  const { socket } = res
  if (socket !== null && !(socket instanceof Socket)) return false
  return res.write === native.write && res.end === native.end
}
