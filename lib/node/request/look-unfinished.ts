import type { ParsedRequest, ServerSocket } from '../internals.js'
import { hasConnection } from './facts.js'

/**
 * Lets other code see that a request of a function adapter can be read again. Adapters mark a request as finished when
 * the application has returned, or their socket ends with the body: body-parser would skip it, and leave in `req.body`
 * what the adapter has put there.
 *
 * finalhandler then waits for the request, and listens to its socket, which may be a plain object. It gets the two
 * methods of an emitter that are called. Nothing happens on such a socket.
 */
export function lookUnfinished(req: ParsedRequest): void {
  if (hasConnection(req)) return
  Object.defineProperty(req, 'readable', { get: isUnread, set: ignoreMark, configurable: true })
  const { socket } = req as { socket?: ServerSocket | null }
  if (!socket) return
  if (socket.readable) Object.defineProperty(socket, 'readable', { get: isOpen, configurable: true })
  if ((socket as Partial<ServerSocket>).on !== undefined) return
  Object.assign(socket, { on: returnThis, removeListener: returnThis })
}

/** The value of `readable` without the mark of an adapter. */
function isUnread(this: ParsedRequest): boolean {
  return !this.destroyed && !this.readableEnded && this.errored === null
}

function ignoreMark(): void {}

/** Tells whether a socket is open. A plain object, as a host gives it, is never destroyed. */
function isOpen(this: Partial<ServerSocket>): boolean {
  return this.destroyed !== true
}

function returnThis(this: unknown): unknown {
  return this
}
