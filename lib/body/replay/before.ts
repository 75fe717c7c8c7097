import type { ParsedRequest } from '../../node/internals.js'
import { readableStateOf } from '../../node/stream-state.js'
import type { ErrorCode } from '../../shared/errors.js'

/** Why a body can no longer be had: it has been read, or its client left before that. */
export function lossOf(req: ParsedRequest): ErrorCode | undefined {
  const { dataEmitted, endEmitted, encoding, destroyed } = readableStateOf(req)
  if (dataEmitted || encoding !== null || (destroyed && endEmitted)) return 'ERR_SLUICEWAY_BODY_ALREADY_READ'
  return destroyed ? 'ERR_SLUICEWAY_BODY_ABORTED' : undefined
}

/** What a host such as Cloud Functions has read before us and left as `req.rawBody`. */
export function rawBodyOf(req: ParsedRequest & { readonly rawBody?: unknown }): Buffer | undefined {
  return Buffer.isBuffer(req.rawBody) ? req.rawBody : undefined
}
