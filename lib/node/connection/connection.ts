import type { Duplex } from 'node:stream'
import type { OutgoingResponse, ServerSocket } from '../internals.js'

/* The state that the HTTP server keeps of a connection. */

/** Returns the response whose turn it is on a connection. */
export function currentResponse({ _httpMessage: res }: ServerSocket): OutgoingResponse | undefined {
  return res ?? undefined
}

/** Tells whether the HTTP server accepts no more requests from a connection, as answers wait for its client. */
export function isHeldUp({ _paused }: ServerSocket): boolean {
  return _paused === true
}

/**
 * Tells whether the other side has reset a connection: the reset may come together with its last bytes, and libuv then
 * reports an orderly end, but there is no peer any more. `remoteAddress` does not help: Node remembers it once it was
 * read, and tracers of `net` read it.
 */
export function isReset(socket: Duplex): boolean {
  const error = (socket as Partial<ServerSocket>)._handle?.getpeername?.({})
  return error !== undefined && error !== 0
}
