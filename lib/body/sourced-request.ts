import type { IncomingMessage } from 'node:http'
import type { BodySource } from './source.js'
import type { ParsedRequest } from '../node/internals.js'
import { BODY } from '../node/keys.js'

/** A request whose body has a source: its stream's state knows it, as each property of the request itself is dear. */
interface SourcedRequest {
  _readableState: { [BODY]?: BodySource | undefined }
}

/** Returns the body source of a request, where a middleware has asked for one. */
export function findBodySource(req: IncomingMessage): BodySource | undefined {
  return (req as unknown as SourcedRequest)._readableState[BODY]
}

/** Makes `source` the one body source of its request. */
export function setBodySource(req: ParsedRequest, source: BodySource): void {
  ;(req as SourcedRequest)._readableState[BODY] = source
}
