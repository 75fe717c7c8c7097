import type { ServerResponse } from 'node:http'
import type { ServerSocket } from '../internals.js'

interface WithSocket {
  readonly socket: ServerSocket | null
}

/**
 * Stops the connection of a tunnel from holding the response to its upgrade, and with it the request and both heads: a
 * tunnel may be open for hours. Code that still has the response sees it close with the connection, and a listener that
 * is added later is still called.
 *
 * A response with a 'close' listener stays held, as the connection alone leads to it.
 */
export function holdWeakly(res: ServerResponse): void {
  const { socket }: WithSocket = res
  if (socket === null || res.listenerCount('close') > 0 || res.writableNeedDrain) return
  const response = new WeakRef(res)
  res.once('newListener', holdAgain)
  socket._httpMessage = null
  // Before Node's own listener, which closes the response that the connection holds.
  socket.prependListener('close', () => holdAgain.call(response.deref()))
}

/** Makes the connection of an upgrade hold its response again. */
function holdAgain(this: ServerResponse | undefined): void {
  const socket: WithSocket['socket'] | undefined = this?.socket
  if (socket) socket._httpMessage ??= this as never
}
