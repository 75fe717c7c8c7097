import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { exceptionContained } from '../../shared/channels.js'
import { INTERNAL_ERROR } from '../http2-codes.js'
import { isHttp2, isServedAsHttp10, streamOf } from '../request/facts.js'
import { headerOf, isHeadWritten } from './send-head.js'
import { sendsBody } from './state.js'

/**
 * Breaks a response off visibly, so that its client does not take a part for the whole. Never throws, although
 * other code may have replaced the methods of a response.
 *
 * `destroy()` ends an HTTP/2 stream as if everything had been sent. HTTP/1.0 has no chunks: an orderly end of the
 * connection would look like the end of the body, as it does if the application has turned chunks off.
 */
export function cutResponse(res: ServerResponse): void {
  const { req } = res
  try {
    if (isHttp2(res)) return resetStream(res)
    if (isServedAsHttp10(req) || isUnframed(res)) reset(res.socket)
    res.destroy()
  } catch (error) {
    if (exceptionContained.isObserved) exceptionContained.tell({ req, error })
    res.socket?.destroy()
  }
}

/** Tells whether nothing but the end of its connection ends the body that a response has begun. */
function isUnframed(res: ServerResponse): boolean {
  if (!isHeadWritten(res) || res.chunkedEncoding || !sendsBody(res, res.statusCode)) return false
  return headerOf(res, 'content-length') === ''
}

/** Breaks an exchange off in the same way if its response is not available. */
export function cutExchange(req: IncomingMessage): void {
  if (isHttp2(req)) resetStream(req)
  else req.destroy()
}

function resetStream(message: IncomingMessage | ServerResponse): void {
  const stream = streamOf(message)
  if (!stream.destroyed) stream.close(INTERNAL_ERROR)
}

/** Breaks a connection off as its other end did: its peer is to see no end. */
export function resetConnection(connection: Duplex): void {
  reset(connection as Socket)
  connection.destroy()
}

/**
 * Resets a TCP connection; with TLS a client can distinguish a cut from an end. Node never closes the descriptor of one
 * that is reset while its end is being sent (EINVAL, on all versions).
 */
function reset(socket: Socket | null): void {
  if (socket?.remoteFamily === undefined || 'encrypted' in socket || socket.writableEnded) return
  socket.resetAndDestroy()
}
