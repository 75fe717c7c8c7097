import { type SluicewayError, sluicewayError } from '../shared/errors.js'

/** Creates the 400 for a body that cannot be parsed. `body` is its text, if it has one. */
export function malformed(message: string, cause?: unknown, body?: string): SluicewayError {
  return sluicewayError('ERR_SLUICEWAY_BODY_MALFORMED', { message, cause, body })
}
