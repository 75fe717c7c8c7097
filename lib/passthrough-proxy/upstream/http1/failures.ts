import { CONNECT_TIMEOUT, HEADERS_TIMEOUT, IDLE_TIMEOUT } from '../messages.js'
import { untrusted } from '../untrusted.js'
import type { Failure, FailureKind } from '../upstream.js'
import { MalformedResponse } from './line-section.js'

/** The failure of a connection whose end is told to no receiver. */
export const UNTOLD: Failure = { kind: 'closed', maybeHeard: true, cause: undefined }

/** Creates a failure with an error of its own that describes it. */
export function failure(kind: FailureKind, maybeHeard: boolean, message: string): Failure {
  return { kind, maybeHeard, message, cause: new Error(message) }
}

/** Creates the failure of a connection that could not be opened. No server has seen the request. */
export function connectFailure(cause: Error): Failure {
  const code = String((cause as NodeJS.ErrnoException).code)
  return { kind: 'unreachable', ...untrusted(code), maybeHeard: false, cause }
}

/** Creates the failure of a response that cannot be read: our description of it, or whatever else was thrown. */
export function malformedResponse(cause: unknown): Failure {
  const message = cause instanceof MalformedResponse ? cause.message : undefined
  return { kind: 'malformed', maybeHeard: true, message, cause }
}

/** Creates the failure of an upstream that took too long. */
export function timeout(isOpen: boolean, hasHead: boolean): Failure {
  if (!isOpen) return failure('timeout', false, CONNECT_TIMEOUT)
  return failure('timeout', true, hasHead ? IDLE_TIMEOUT : HEADERS_TIMEOUT)
}
