import getRawBody from 'raw-body'
import type { BodySource } from '../body/source.js'
import { tellOnFinished } from '../node/request/tell-on-finished.js'
import { type ErrorDetails, type SluicewayError, sluicewayError } from '../shared/errors.js'

/**
 * Loads a whole body of at most `limit` bytes. Rejects a larger one with 413 as soon as its size is known: before
 * anything is read if the client has announced its length, or else at the first byte too many.
 */
export async function loadBody(
  source: BodySource,
  limit: number,
  { parseLimit }: { readonly parseLimit: number },
): Promise<Buffer> {
  const { failure, length, received } = source
  if (failure !== undefined) throw failure
  if (length > limit || received > limit) throw refusal(source, parseLimit)
  const kept = source.state === 'whole' ? source.store?.copy() : undefined
  if (kept === undefined) return readWhole(source, limit, parseLimit)
  source.replay?.bodyWasRead('beside')
  return kept
}

async function readWhole(source: BodySource, limit: number, parseLimit: number): Promise<Buffer> {
  const stream = source.stream()
  try {
    return await getRawBody(stream, { limit })
  } catch (error) {
    const failure = source.failure ?? (isLimit(error) ? refusal(source, parseLimit) : error)
    // raw-body leaves the stream paused, and a paused reader would delay the body.
    stream.destroy()
    throw failure
  }
}

/**
 * Creates the error for a body that other readers may still read, up to `limit`. It is answered at once: without the
 * 'finish', finalhandler would wait for the end of the upload.
 */
function refusal(source: BodySource, limit: number): SluicewayError {
  const { req, state, received, length } = source
  if (state === 'arriving') tellOnFinished(req)
  return tooLargeToParse({ limit, received, length: Number.isNaN(length) ? undefined : length })
}

function isLimit(error: unknown): boolean {
  return (error as getRawBody.RawBodyError).type === 'entity.too.large'
}

/**
 * Returns the largest compressed size of a body of `parseLimit` bytes: compression makes some data slightly larger.
 */
export function maxCompressedSize(parseLimit: number): number {
  return parseLimit + parseLimit / 1024 + 1024
}

/** Creates the 413 for a body that is too large for memory. */
export function tooLargeToParse(details: ErrorDetails & { readonly limit: number }): SluicewayError {
  return sluicewayError('ERR_SLUICEWAY_BODY_TOO_LARGE', {
    ...details,
    message: `request entity too large: more than the parseLimit of ${details.limit} bytes`,
  })
}
