import type { Duplex } from 'node:stream'
import type { ServerSocket } from '../node/internals.js'
import { releaseEarlyBytes } from './early-bytes.js'

/**
 * Closes a connection as the HTTP server does after the last response. Any Duplex can be a connection
 * (`server.emit('connection', stream)`), but only `net.Socket` has `destroySoon`.
 */
export function closeConnection(socket: Duplex): void {
  const { destroySoon } = socket as Partial<ServerSocket>
  if (destroySoon === undefined) {
    // It closes by itself once both halves have ended, so the other one has to be read.
    if (releaseEarlyBytes(socket) !== undefined) socket.resume()
    socket.end()
  } else destroySoon.call(socket)
}
