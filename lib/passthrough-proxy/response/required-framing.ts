import { hasNoBody } from '../../shared/response-facts.js'
import { isLength } from '../headers/body-length.js'
import { responseHookError } from '../hooks.js'
import type { Incoming } from './incoming.js'

/**
 * Throws if a hook has changed the framing: a body that comes as the upstream sends it has the length that the upstream
 * announces.
 */
export function requireFraming(
  incoming: Incoming,
  announced: readonly string[],
  method: string | undefined,
): void {
  const { statusCode, headers } = incoming
  const set = headers.getAll('content-length')
  const isSame = String(set) === String(announced)
  const isOwn =
    !incoming.isUntouched && incoming.bodyChain.isChanged && set.length === 1 && isLength(set[0] as string)
  if (statusCode < 200) throw wrongHead(`statusCode must be 200 or more, got ${statusCode}`)
  if (headers.has('transfer-encoding')) throw wrongHead('Transfer-Encoding is not for a hook to set')
  if (set.length > 0 && !isSame && !isOwn) {
    throw wrongHead(`Content-Length may be deleted, but not set to ${set.join(', ')}`)
  }
  if (isOwn) requireLength(Number(set[0]), incoming, method)
}

/** Throws for a length that is not that of a body in memory. For HEAD it is the length for GET. */
function requireLength(set: number, { statusCode, bodyChain }: Incoming, method: string | undefined): void {
  const { length = set } = bodyChain
  if (length === set || hasNoBody(method, statusCode)) return
  throw wrongHead(`Content-Length is ${set}, but the body has ${length} bytes`)
}

function wrongHead(message: string): Error {
  return responseHookError(new TypeError(message))
}
