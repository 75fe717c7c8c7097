import type { Readable } from 'node:stream'

/**
 * Tells whether somebody takes data from a request, or from a stream that stands in for it: by an event, a pipe, or an iterator, which all listen.
 * A bare `resume()` does not; it throws the body away, as finalhandler and body-parser do before they answer.
 */
export function isRead(stream: Readable): boolean {
  return stream.listenerCount('data') > 0 || stream.listenerCount('readable') > 0
}
