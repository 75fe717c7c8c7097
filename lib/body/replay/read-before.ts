import type { ParsedRequest } from '../../node/internals.js'
import { announcedLength, hasOpenStream, wasReset } from '../../node/request/facts.js'
import { readableStateOf } from '../../node/streams/state.js'

/**
 * Tells whether other code has read a body, all of it or a part, before this package saw it. An encoding that was set
 * before any byte came has cost nothing: the bytes pass through here first.
 */
export function wasReadBefore(req: ParsedRequest): boolean {
  const { dataEmitted, endEmitted } = readableStateOf(req)
  return dataEmitted || endEmitted || hasDecoded(req)
}

/** Tells whether a request holds characters in place of bytes; its decoder may hold the beginning of one. */
function hasDecoded(req: ParsedRequest): boolean {
  const { encoding, length, decoder } = readableStateOf(req)
  return encoding !== null && (length > 0 || decoder?.lastTotal !== decoder?.lastNeed)
}

/**
 * Tells whether the client of a request over HTTP/2 has left before any of its body was read: Node then ends the
 * request as if its body were empty.
 */
export function wasLeftUnread(req: ParsedRequest): boolean {
  return wasReset(req) && hasOpenStream(req) && !readableStateOf(req).dataEmitted
}

/**
 * Returns the bytes of a body that was read before: those that a host such as Cloud Functions has left as
 * `req.rawBody`, or none if the body was empty. Returns undefined if they are lost.
 */
export function bytesReadBefore(req: ParsedRequest & { readonly rawBody?: unknown }): Buffer | undefined {
  if (Buffer.isBuffer(req.rawBody)) return req.rawBody
  const { dataEmitted, endEmitted } = readableStateOf(req)
  // Node also emits 'end' on an HTTP/2 stream that was reset.
  const isAwaited = announcedLength(req) > 0
  const wasEmpty = endEmitted && !dataEmitted && !isAwaited
  return wasEmpty ? Buffer.alloc(0) : undefined
}
