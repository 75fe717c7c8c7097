import type { ServerResponse } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import { contain } from '../node/contained.js'
import { isHttp2 } from '../node/request-facts.js'
import { onResponseClose } from '../node/response-close.js'
import { timers } from '../node/timers.js'

/** The source of a request's body. It cannot be found there once the application gives the request another stream state. */
interface ReleasedBody {
  release(): void
}

/** Releases the body of a request as soon as its response was sent: before Node passes the connection on. */
export function releaseWhenSent(res: ServerResponse, body: ReleasedBody): void {
  res.prependListener('finish', () => body.release())
  if (isHttp2(res.req)) releaseWithStream(res, body)
}

/**
 * Releases a body over HTTP/2 that was read in part once its answer has been sent. Node closes the stream, and emits
 * 'finish' on the response, only when the rest has been read: it would hold the session, even of a client that has left.
 */
function releaseWithStream(res: ServerResponse, body: ReleasedBody): void {
  const { stream } = res as unknown as Http2ServerResponse
  const release = (): void => {
    // Node itself closes a stream that nobody has begun to read.
    if (stream.readableFlowing !== null) contain(res, () => body.release())
  }
  // The trailers are sent in the same turn as the event.
  stream.once('finish', () => timers.setImmediate(release))
}

/** Releases it when its response is over, even if it was not sent. */
export function releaseWhenClosed(res: ServerResponse, body: ReleasedBody): void {
  onResponseClose(res, () => body.release())
}
