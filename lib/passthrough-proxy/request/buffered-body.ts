import type { IncomingMessage } from 'node:http'

import type { RequestHead } from './request-head.js'

/** What Node reads from a socket at once: a longer body never comes in one piece. */
const LONGEST = 64 * 1024

/**
 * Tells whether a body may be at hand by the end of this tick, in the packet that brought its head. Most are; to pass
 * such a one on as a piece costs half of what a stream does.
 */
export function mayBeBuffered(req: IncomingMessage, { chunked, contentLength }: RequestHead): boolean {
  const length = Number(contentLength)
  // Chunks stay chunks, and whoever else listens gets his bytes as they come.
  return !chunked && length > 0 && length <= LONGEST && req.readableFlowing === null
}

/** Takes a body out of the request where all of it has come; undefined where it has yet to be read as a stream. */
export function takeBufferedBody(req: IncomingMessage, head: RequestHead): Buffer | string | undefined {
  if (!mayBeBuffered(req, head) || req.readableLength !== Number(head.contentLength)) return undefined
  const body = req.read() as Buffer | string
  // The end comes behind it, and has to be read too.
  req.resume()
  return body
}
