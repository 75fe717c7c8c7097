import { hasConnection, isHttp2 } from '../../node/request-facts.js'
import type { AnsweredBody } from '../owner.js'
import { HostRest } from './host-rest.js'
import { Http2Rest } from './http2-rest.js'
import { Linger } from './linger.js'
import type { LingerBounds, Rest } from './rest.js'

/** Begins to take what a client still sends of a body, in the way of its connection. */
export function openRest(body: AnsweredBody, bounds: LingerBounds): Rest {
  if (isHttp2(body.req)) return new Http2Rest(body.res)
  return hasConnection(body.req) ? new Linger(body, bounds) : new HostRest()
}
