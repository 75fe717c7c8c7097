import type { IncomingMessage, ServerResponse } from 'node:http'
import type { OutgoingResponse, ParsedRequest, ServerSocket } from '../../node/internals.js'
import { hasListeners } from '../../node/streams/listeners.js'
import { sourceOf } from '../../node/streams/state.js'
import type { DiscardedBody } from '../views.js'
import { DEFAULT_LINGER, Linger } from './linger.js'

/**
 * Discards what a client sends without a 100 while its connection closes: unread bytes would reset it, and the client
 * would lose the answer. The source of a body does this itself. A reader that has begun gets what comes, if anything does.
 */
export function readWhileClosing(req: IncomingMessage, res: ServerResponse): void {
  if (hasListeners(req) || sourceOf(req) !== undefined) return
  const linger = new Linger(unreadBody(req as ParsedRequest, res as OutgoingResponse), DEFAULT_LINGER)
  // Node itself drops the bytes of a request that was answered before it was read.
  req.once('end', () => linger.discard(null))
  res.once('finish', linger.answered)
}

function unreadBody(req: ParsedRequest, res: OutgoingResponse): DiscardedBody {
  const socket = res.socket as ServerSocket
  return { req, res, socket, state: 'arriving', length: Number.NaN, restReceived() {} }
}
