import type { IncomingMessage, ServerResponse } from 'node:http'
import type { OutgoingResponse, ParsedRequest } from '../node/internals.js'
import { hasCutHead } from '../node/request-facts.js'
import { replacePush } from '../node/request-methods.js'
import { setSource, sourceOf } from '../node/stream-state.js'
import { sluicewayError } from '../shared/errors.js'
import { BodySource } from './source.js'

/** Returns the one body source of a request, and taps the request's bytes on the first call. */
export function bodySourceOf(req: IncomingMessage, res: ServerResponse): BodySource {
  return findBodySource(req) ?? tap(req as ParsedRequest, res as OutgoingResponse)
}

/** Returns the body source of a request, where a middleware has asked for one. */
export function findBodySource(req: IncomingMessage): BodySource | undefined {
  return sourceOf(req) as BodySource | undefined
}

function tap(req: ParsedRequest, res: OutgoingResponse): BodySource {
  const source = new BodySource(req, res, replacePush(req, pushToSource))
  setSource(req, source)
  // Before Node's own listener, which hands the connection over to the next request.
  res.prependListener('finish', releaseWithResponse)
  // A head of which lines are missing does not tell what body belongs to it: it is refused.
  if (hasCutHead(req)) source.refuse(sluicewayError('ERR_SLUICEWAY_HEAD_CUT'))
  return source
}

/** The request's own `push`: every byte passes here. */
function pushToSource(this: ParsedRequest, chunk: Buffer | null): boolean {
  const source = findBodySource(this)!
  const wantsMore = source.receive(chunk)
  source.waiting?.note()
  return wantsMore
}

function releaseWithResponse(this: ServerResponse): void {
  findBodySource(this.req)?.release()
}
