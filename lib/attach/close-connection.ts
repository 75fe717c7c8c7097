import type { Duplex } from 'node:stream'
import type { ServerSocket } from '../node/internals.js'

/**
 * Closes a connection as the HTTP server does after the last response. A server takes any Duplex for a connection
 * (`server.emit('connection', stream)`), and `destroySoon` is of `net.Socket` alone.
 */
export function closeConnection(socket: Duplex): void {
  const { destroySoon } = socket as Partial<ServerSocket>
  if (destroySoon === undefined) socket.end()
  else destroySoon.call(socket)
}
