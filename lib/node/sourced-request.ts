import type { IncomingMessage } from 'node:http'
import type { ParsedRequest } from './internals.js'
import { BODY } from './keys.js'

/**
 * Returns the body source of a request, where a middleware has asked for one. Its class is above this file: the caller
 * says what it needs to see of it.
 */
export function sourceOf(req: IncomingMessage): object | undefined {
  return (req as ParsedRequest)._readableState[BODY]
}

/** Makes `source` the one body source of its request. */
export function setSource(req: ParsedRequest, source: object): void {
  req._readableState[BODY] = source
}
