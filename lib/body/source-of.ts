import type { IncomingMessage, ServerResponse } from 'node:http'
import { contain } from '../node/contained.js'
import type { OutgoingResponse, ParsedRequest } from '../node/internals.js'
import { hasCutHead, isHttp2, isStream, isStreamRead, mayHaveBody, streamOf } from '../node/request/facts.js'
import { setSource, sourceOf } from '../node/streams/state.js'
import { timers } from '../node/timers.js'
import { keepContextOfBody } from '../shared/channels.js'
import { withEntry } from '../shared/error-page.js'
import { sluicewayError } from '../shared/errors.js'
import { BodySource } from './source.js'

/** Returns the one body source of a request, which is created by the first call. */
export function bodySourceOf(req: IncomingMessage, res: ServerResponse): BodySource {
  return findBodySource(req) ?? tap(req as ParsedRequest, res as OutgoingResponse)
}

/**
 * Throws if a request announces a body and is not a stream. A mock may be a plain event emitter, whose bytes can be
 * neither counted nor kept.
 */
export function requireStream(req: IncomingMessage, middleware: string): void {
  if (isStream(req) || !mayHaveBody(req)) return
  throw new TypeError(
    withEntry(
      `${middleware}: the request announces a body, but is not a stream, so its body cannot be read. ` +
        'Test with requests that are streams: those of supertest, or of light-my-request',
      'a-request-that-is-not-a-stream',
    ),
  )
}

/** Returns the body source of a request; undefined if no middleware has asked for one. */
export function findBodySource(req: IncomingMessage): BodySource | undefined {
  return sourceOf(req) as BodySource | undefined
}

function tap(req: ParsedRequest, res: OutgoingResponse): BodySource {
  const source = new BodySource(req, res)
  setSource(req, source)
  keepContextOfBody(req)
  releaseWhenSent(res, source)
  // A head with missing lines does not say which body belongs to it, so the body is refused.
  if (hasCutHead(req)) source.refuse(sluicewayError('ERR_SLUICEWAY_HEAD_CUT'))
  return source
}

/**
 * Releases a body as soon as its response was sent: before Node passes the connection on. The source is held until then,
 * as the request no longer leads to it once the application has given it another stream state.
 */
function releaseWhenSent(res: ServerResponse, source: BodySource): void {
  // A function adapter sends a response within `res.end()`: a reader that has just begun flows in the next tick.
  const release = (): void => source.release()
  const releaseLater = (): void => void timers.setImmediate(() => contain(res, release))
  res.prependListener('finish', source.isOfHost ? releaseLater : release)
  if (isHttp2(res.req)) releaseWithStream(res, source)
}

/**
 * Releases a body over HTTP/2 that was read in part once its answer has been sent. Node closes the stream, and emits
 * 'finish' on the response, only when the rest has been read: it would hold the session, even of a client that has left.
 */
function releaseWithStream(res: ServerResponse, source: BodySource): void {
  const stream = streamOf(res)
  const release = (): void => {
    // Node itself closes a stream that nobody has begun to read. Code that reads it instead of the request goes on.
    if (stream.readableFlowing !== null && !isStreamRead(stream)) contain(res, () => source.release())
  }
  // The trailers are sent in the same turn as the event.
  stream.once('finish', () => timers.setImmediate(release))
}
