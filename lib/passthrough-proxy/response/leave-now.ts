import { ServerResponse } from 'node:http'

const native = ServerResponse.prototype

/**
 * Hands what a response has written to the kernel now; Node would wait until the end of this tick. Returns true where
 * the kernel has taken all of it, so that nobody holds the chunks any more.
 */
export function leaveNow(res: ServerResponse): boolean {
  const { socket } = res
  // Whatever stands in front of Node's own methods may keep what it was given.
  if (socket === null || res.write !== native.write || res.end !== native.end) return false
  socket.uncork()
  return socket.writableLength === 0
}
