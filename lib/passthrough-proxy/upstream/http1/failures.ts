import { CONNECT_TIMEOUT, HEADERS_TIMEOUT, IDLE_TIMEOUT } from '../timeouts.js'
import type { Failure, FailureKind } from '../upstream.js'

/** Matches the codes of OpenSSL and Node for a certificate that is not trusted, or belongs to another host. */
const untrusted = /^(?:CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|ERR_TLS_CERT_)/

const certificates: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'the certificate of the upstream has expired',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate of the upstream is for another host',
}

/** The failure of a connection whose end is told to no receiver. */
export const UNTOLD: Failure = { kind: 'closed', maybeHeard: true, cause: undefined }

/** Creates a failure with an error of its own that describes it. */
export function failure(kind: FailureKind, maybeHeard: boolean, message: string): Failure {
  return { kind, maybeHeard, message, cause: new Error(message) }
}

/** Creates the failure of a connection that could not be opened. No server has seen the request. */
export function connectFailure(cause: Error): Failure {
  const code = String((cause as NodeJS.ErrnoException).code)
  if (!untrusted.test(code)) return { kind: 'unreachable', maybeHeard: false, cause }
  return { kind: 'untrusted', maybeHeard: false, message: certificates[code], cause }
}

/** Creates the failure of an upstream that took too long. */
export function timeout(isOpen: boolean, hasHead: boolean): Failure {
  if (!isOpen) return failure('timeout', false, CONNECT_TIMEOUT)
  return failure('timeout', true, hasHead ? IDLE_TIMEOUT : HEADERS_TIMEOUT)
}
