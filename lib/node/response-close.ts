import type { ServerResponse } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import { type ConnectionWatcher, unwatchConnection, watchConnection } from './connection.js'
import type { ClosableResponse } from './internals.js'
import { isHttp2 } from './request-facts.js'

type CloseListener = (this: ServerResponse) => void

/**
 * Calls `listener` when a response is over: sent completely, or its client gone. If it is already over, in the next
 * tick.
 *
 * Up to Node 22 the end of a connection closes only the response whose turn it is. Later responses, for a client that
 * sends its requests without waiting for answers, would never be closed; this closes them. Over HTTP/2, Node does not
 * tell the response to HEAD either that its client has left.
 */
export function onResponseClose(res: ServerResponse, listener: CloseListener): void {
  if (isClosed(res)) process.nextTick(callListener, res, listener)
  else {
    res.on('close', listener)
    if (isHttp2(res.req)) callWithStream(res, listener)
    else if (res.socket === null) closeWithConnection(res)
  }
}

/** Tells whether a response is over, either sent completely or cut off because its client has gone. */
export function isClosed(res: ServerResponse): boolean {
  return isHttp2(res.req) ? (res as unknown as Http2ServerResponse).stream.destroyed : res.closed
}

/**
 * Calls a 'close' listener of a response when its stream closes without `res.end()`: only a response to HEAD still has
 * it then. A late `res.end()` would make Node emit 'close', so the listener is removed.
 */
function callWithStream(res: ServerResponse, listener: CloseListener): void {
  if (res.req.method !== 'HEAD') return
  ;(res as unknown as Http2ServerResponse).stream.once('close', () => {
    if (res.writableEnded || !res.listeners('close').includes(listener)) return
    res.off('close', listener)
    listener.call(res)
  })
}

function callListener(res: ServerResponse, listener: CloseListener): void {
  listener.call(res)
}

/** Closes a response without a socket as soon as the connection of its request closes. */
export function closeWithConnection(res: ServerResponse): void {
  const { socket } = res.req
  if (socket.destroyed) {
    process.nextTick(close, res)
    return
  }
  const queued: ConnectionWatcher = { connectionClosed: () => close(res) }
  watchConnection(socket, queued)
  // From its turn on, Node closes it.
  res.once('socket', () => unwatchConnection(socket, queued))
}

/** Closes a response as Node closes the one whose turn it is. */
function close(res: ServerResponse): void {
  if (res.closed) return
  const closing = res.destroy() as ClosableResponse
  closing._closed = true
  closing.emit('close')
}
