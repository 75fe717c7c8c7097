import type { ServerResponse } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import type { Socket } from 'node:net'
import { INTERNAL_ERROR } from './http2-codes.js'
import { isHttp2, isServedAsHttp10 } from './request-facts.js'

/**
 * Breaks a response off visibly, so that its client does not mistake a part for the whole.
 *
 * `destroy()` ends an HTTP/2 stream as if everything had been sent. HTTP/1.0 has no chunks: an orderly end of the
 * connection would look like the end of the body.
 */
export function cutResponse(res: ServerResponse): void {
  if (isHttp2(res.req)) resetStream(res as unknown as Http2ServerResponse)
  else {
    if (isServedAsHttp10(res.req)) reset(res.socket)
    res.destroy()
  }
}

function resetStream({ stream }: Http2ServerResponse): void {
  if (!stream.destroyed) stream.close(INTERNAL_ERROR)
}

/** Resets a TCP connection; with TLS a client can tell a cut from an end. */
function reset(socket: Socket | null): void {
  if (socket?.remoteFamily !== undefined && !('encrypted' in socket)) socket.resetAndDestroy()
}
