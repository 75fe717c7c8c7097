import type { IncomingMessage } from 'node:http'

/**
 * Tells whether somebody takes data from a request: by an event, a pipe, or an iterator, which all listen.
 * A bare `resume()` does not; it throws the body away, as finalhandler and body-parser do before they answer.
 */
export function isRead(req: IncomingMessage): boolean {
  return req.listenerCount('data') > 0 || req.listenerCount('readable') > 0
}
