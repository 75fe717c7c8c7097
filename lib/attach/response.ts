import type { IncomingMessage, ServerResponse } from 'node:http'
import type { CheckingServer, ServerSocket } from '../node/internals.js'
import { detachSignal } from '../node/request/signal.js'
import { announceClosing, responseClassOf } from '../node/response/state.js'
import { hasListeners } from '../node/streams/listeners.js'
import { closeConnection } from './close-connection.js'

/** Creates a response as the server does for any request; the connection ends with it. */
export function responseOn(
  server: CheckingServer,
  socket: ServerSocket,
  req: IncomingMessage,
): ServerResponse {
  const { rejectNonStandardBodyWrites } = server
  const highWaterMark = socket.writableHighWaterMark
  const res = new (responseClassOf(server))(req, { highWaterMark, rejectNonStandardBodyWrites })
  announceClosing(res)
  res.assignSocket(socket)
  res.on('finish', onResponseFinish)
  return res
}

function onResponseFinish(this: ServerResponse): void {
  detachSignal(this.req)
  // The server does this too: it ends and closes a request that nobody reads.
  if (!hasListeners(this.req)) this.req.resume()
  if (this.socket !== null) closeConnection(this.socket)
}
