import type { Duplex } from 'node:stream'
import type { ServerSocket } from '../node/internals.js'

/**
 * Closes a connection as the HTTP server does after the last response. Any Duplex can be a connection
 * (`server.emit('connection', stream)`), but only `net.Socket` has `destroySoon`.
 */
export function closeConnection(socket: Duplex): void {
  const { destroySoon } = socket as Partial<ServerSocket>
  if (destroySoon === undefined) socket.end()
  else destroySoon.call(socket)
}
