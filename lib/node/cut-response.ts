import type { ServerResponse } from 'node:http'
import { constants, type Http2ServerResponse } from 'node:http2'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { isHttp2, isServedAsHttp10 } from './request-facts.js'

/**
 * Breaks a response off, so that its client does not take what has come for the whole.
 *
 * `destroy()` ends a stream of HTTP/2 as if all had been sent. HTTP/1.0 has no chunks: there, an orderly end of the
 * connection would be that of the body.
 */
export function cutResponse(res: ServerResponse): void {
  if (isHttp2(res.req)) resetStream(res as unknown as Http2ServerResponse)
  else {
    if (isServedAsHttp10(res.req)) reset(res.socket)
    res.destroy()
  }
}

function resetStream({ stream }: Http2ServerResponse): void {
  if (!stream.destroyed) stream.close(constants.NGHTTP2_INTERNAL_ERROR)
}

/** Only TCP can; TLS tells a cut from an end by itself. */
function reset(socket: Socket | null): void {
  if (socket?.remoteFamily !== undefined && !(socket instanceof TLSSocket)) socket.resetAndDestroy()
}
