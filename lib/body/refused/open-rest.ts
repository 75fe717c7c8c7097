import { hasConnection, isHttp2 } from '../../node/request/facts.js'
import { restoreSocket } from '../../node/streams/state.js'
import type { AnsweredBody } from '../views.js'
import { Http2Rest } from './http2-rest.js'
import { Linger } from './linger.js'
import type { LingerBounds, RefusedRest } from './rest.js'

/** Discards the bytes that a host still delivers. There is no connection to close. */
const ofHost: RefusedRest = {
  closeAfterAnswer() {},
  discard: () => false,
  answered() {},
}

/** Begins to handle what a client still sends of a body, as its kind of connection requires. */
export function openRest(body: AnsweredBody, bounds: LingerBounds): RefusedRest {
  const { req, socket } = body
  if (isHttp2(req)) return new Http2Rest(body)
  // A reader that has destroyed the request has taken it, and the rest has to flow.
  restoreSocket(req, socket)
  return hasConnection(req) ? new Linger(body, bounds) : ofHost
}
