import { AsyncResource } from 'node:async_hooks'
import type { Socket } from 'node:net'

/**
 * Makes a socket that reads into given memory emit its bytes, as any other socket does: in the context of the request
 * that asked for the upgrade, instead of the one that opened the connection.
 */
export function emitBytes(socket: Socket): (bytes: Buffer) => boolean {
  const context = new AsyncResource('SLUICEWAY_TUNNEL')
  return (bytes) => context.runInAsyncScope(push, undefined, socket, bytes)
}

function push(socket: Socket, bytes: Buffer): boolean {
  return socket.push(bytes)
}
