import type { OutgoingResponse, ParsedRequest, ServerSocket } from '../internals.js'

/**
 * Stands for the connection of a request that has none: adapters that make a request of a `fetch` Request, and requests
 * that a program makes itself, have no socket at all. It is never destroyed; no code may call anything on it.
 */
export const NO_SOCKET: ServerSocket = Object.freeze({ destroyed: false }) as never

/** Returns the connection of a request. `pipeline()` takes it from one that it destroys, but not from its response. */
export function socketOf(req: ParsedRequest, res: OutgoingResponse): ServerSocket {
  return req.socket ?? (res.socket as ServerSocket | null | undefined) ?? NO_SOCKET
}
