import type { IncomingMessage } from 'node:http'
import type { ParsedRequest } from '../../node/internals.js'
import { forgetData } from '../../node/streams/state.js'
import type { ClientHead } from './client-head.js'

/** The most bytes that Node reads from a socket at once: a longer body never comes in one piece. */
const MAX_BUFFERED_BYTES = 64 * 1024

/**
 * Tells whether a body may be complete by the end of this tick, in the packet that brought its head. Most are, and
 * passing one on in one piece costs half as much as a stream.
 */
export function mayBeBuffered(req: IncomingMessage, { chunked, contentLength }: ClientHead): boolean {
  const length = Number(contentLength)
  // Chunks stay chunks, and other readers get their bytes as they come. A text would count characters, not bytes.
  const isUnread = req.readableFlowing === null && req.readableEncoding === null
  return !chunked && length > 0 && length <= MAX_BUFFERED_BYTES && isUnread
}

/** Tells whether the whole body has arrived, and waits in the request. */
export function hasBufferedBody(req: IncomingMessage, head: ClientHead): boolean {
  return mayBeBuffered(req, head) && req.readableLength === Number(head.contentLength)
}

/** Takes a body that is complete, with its end, out of the request; returns undefined if it is read as a stream. */
export function takeBufferedBody(req: IncomingMessage, head: ClientHead): Buffer | undefined {
  if (!hasBufferedBody(req, head)) return undefined
  const body = takeBody(req)
  req.resume()
  return body
}

/** Takes a body that is complete out of the request, and leaves its end there, so that it can be given back. */
export function takeBody(req: IncomingMessage): Buffer {
  // Without a length, from Node 26 on, it would be only the first of several chunks.
  return req.read(req.readableLength) as Buffer
}

/** Gives a body back whose end was not read. */
export function giveBackBody(req: IncomingMessage, body: Buffer): void {
  if (req.readableFlowing !== null || req.destroyed) return
  req.unshift(body)
  forgetData(req as ParsedRequest)
}
