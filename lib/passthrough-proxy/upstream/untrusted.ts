import type { FailureKind } from './upstream.js'

/** Matches the codes of OpenSSL and Node for a certificate that is not trusted, or belongs to another host. */
const UNTRUSTED = /^(?:CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|ERR_TLS_CERT_)/

const messages: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'the certificate of the upstream has expired',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate of the upstream is for another host',
}

/** The failure of a connection whose certificate was refused. */
interface Untrusted {
  readonly kind: FailureKind
  readonly message: string | undefined
}

/** Returns the failure for the code of an error; undefined if the error is not about a certificate. */
export function untrusted(code: string): Untrusted | undefined {
  return UNTRUSTED.test(code) ? { kind: 'untrusted', message: messages[code] } : undefined
}
