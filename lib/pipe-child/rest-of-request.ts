import type { ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { finished } from 'node:stream'
import { type Closing, giveBackClosing, isClosedBy, takeOverClosing } from '../node/connection/closing.js'
import type { OutgoingResponse, ParsedRequest } from '../node/internals.js'
import { isHttp2 } from '../node/request/facts.js'
import { closesAfter } from '../node/response/state.js'
import { sourceOf } from '../node/streams/state.js'
import { timers } from '../node/timers.js'

/** The time for which a connection stays open after its response for the rest of a body that no child reads. */
const REST_MS = 2000

/**
 * Makes a connection that is about to close wait, after its response, until the rest of the request has arrived, or the
 * time is up. Otherwise a client that sends its whole body before it reads would lose the end of the response to a
 * reset.
 * @see RFC 9112 §9.6
 */
export function awaitRest(res: ServerResponse): void {
  if (isHttp2(res)) return
  const req = res.req as ParsedRequest
  // Our listener comes before that of the server, which closes the connection.
  res.prependListener('finish', () => {
    const mayBeReset = !req.complete && closesAfter(res as OutgoingResponse) && req.socket instanceof Socket
    // A limit and a cache have rules of their own for the rest.
    if (mayBeReset && sourceOf(req) === undefined) closeInStages(req)
  })
}

/** Closes our side of a connection after the response, and the whole of it after the rest of the request. */
function closeInStages(req: ParsedRequest): void {
  const { socket } = req
  const closing: Closing = { close: () => void socket.end() }
  const timer = timers.setTimeout(finish, REST_MS).unref()
  takeOverClosing(socket, closing)
  finished(req, { writable: false }, finish)

  function finish(): void {
    timers.clearTimeout(timer)
    if (!isClosedBy(socket, closing)) return
    giveBackClosing(socket)
    socket.destroySoon()
  }
}
