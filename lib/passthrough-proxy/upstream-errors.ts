import { isSluicewayError, sluicewayError, type ErrorCode, type SluicewayError } from '../shared/errors.js'

/** How far a request had come when it failed. */
export interface Progress {
  /** The request had a connection. */
  readonly connected: boolean
  /** `onRequest` or `path` had its hands on the request. */
  readonly requestHooked: boolean
  /** `onResponse` had its hands on the response. */
  readonly responseHooked: boolean
}

interface Kind {
  readonly code: ErrorCode
  /** What to do about it; nothing that a client may not read. */
  readonly message?: string
}

const TIMEOUT = 'ERR_SLUICEWAY_UPSTREAM_TIMEOUT'
const UNREACHABLE = 'ERR_SLUICEWAY_UPSTREAM_UNREACHABLE'
const BAD_RESPONSE = 'ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE'

const HEADERS_TIMEOUT: Kind = {
  code: TIMEOUT,
  message: 'the upstream took too long to begin its answer (headersTimeoutMs)',
}

const byCode: Readonly<Record<string, Kind>> = {
  UND_ERR_CONNECT_TIMEOUT: {
    code: TIMEOUT,
    message: 'the upstream took too long to accept a connection (connectTimeoutMs)',
  },
  UND_ERR_HEADERS_TIMEOUT: HEADERS_TIMEOUT,
  UND_ERR_BODY_TIMEOUT: {
    code: TIMEOUT,
    message: 'the upstream was silent for too long within its answer (idleTimeoutMs)',
  },
  UND_ERR_HEADERS_OVERFLOW: { code: BAD_RESPONSE, message: 'the headers of the upstream are too large' },
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: { code: BAD_RESPONSE },
  UND_ERR_RES_EXCEEDED_MAX_SIZE: { code: BAD_RESPONSE },
  CERT_HAS_EXPIRED: { code: UNREACHABLE, message: 'the certificate of the upstream has expired' },
  ERR_TLS_CERT_ALTNAME_INVALID: {
    code: UNREACHABLE,
    message: 'the certificate of the upstream is for another host',
  },
}

/** undici will not send such a request. */
const badRequest: ReadonlySet<string> = new Set([
  'UND_ERR_INVALID_ARG',
  'UND_ERR_NOT_SUPPORTED',
  'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH',
])

/** Node will not write such a head. */
const badHead: ReadonlySet<string> = new Set([
  'ERR_INVALID_CHAR',
  'ERR_INVALID_HTTP_TOKEN',
  'ERR_HTTP_INVALID_HEADER_VALUE',
  'ERR_HTTP_INVALID_STATUS_CODE',
  'ERR_HTTP_TRAILER_INVALID',
])

/** OpenSSL's names for a certificate that it does not trust. */
const untrusted = /^(?:CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/

/** What comes back at once from an address where nobody is. */
const refusals: ReadonlySet<string> = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH'])

/** Tells whether nobody was there to connect to. */
export function isRefusal(error: Error): boolean {
  return refusals.has(String((error as NodeJS.ErrnoException).code))
}

/** The error for an upstream that does not begin its answer in time. */
export function headersTimeout(): SluicewayError {
  return sluicewayError(HEADERS_TIMEOUT.code, { message: HEADERS_TIMEOUT.message })
}

/** Names a failure of undici or of the network; errors of our own stay what they are. */
export function upstreamError(cause: Error, progress: Progress): SluicewayError {
  if (isSluicewayError(cause)) return cause
  const { code, message } = kindOf(cause, progress)
  return sluicewayError(code, { message, cause: spokenOut(cause) })
}

/** Names what was thrown while an answer was written: a head that Node refuses. An error of the application stays what it is. */
export function answerError(thrown: unknown, progress: Progress): Error {
  if (!(thrown instanceof Error)) return new Error('something was thrown that is no error', { cause: thrown })
  if (isSluicewayError(thrown)) return thrown
  const kind = refusedKind(String((thrown as NodeJS.ErrnoException).code), progress)
  return kind === undefined ? thrown : sluicewayError(kind.code, { message: kind.message, cause: thrown })
}

function kindOf(cause: Error & { code?: unknown }, progress: Progress): Kind {
  const code = String(cause.code)
  return byCode[code] ?? refusedKind(code, progress) ?? networkKind(code, cause, progress)
}

/** What undici would not send, or Node not write: the fault of a hook where one had its hands on it. */
function refusedKind(code: string, progress: Progress): Kind | undefined {
  if (badRequest.has(code)) {
    return progress.requestHooked
      ? hookKind('onRequest or path made a request that can not be sent')
      : { code: 'ERR_SLUICEWAY_PROXY_BAD_REQUEST' }
  }
  if (!badHead.has(code)) return undefined
  return progress.responseHooked
    ? hookKind('onResponse made a head that can not be sent')
    : { code: BAD_RESPONSE }
}

function hookKind(message: string): Kind {
  return { code: 'ERR_SLUICEWAY_PROXY_HOOK', message: `passthroughProxy: ${message}` }
}

function networkKind(code: string, cause: Error, { connected }: Progress): Kind {
  if (connected) {
    return { code: isMalformed(cause) ? BAD_RESPONSE : 'ERR_SLUICEWAY_UPSTREAM_RESET' }
  }
  return untrusted.test(code)
    ? {
        code: UNREACHABLE,
        message: 'the certificate of the upstream is not trusted; give its authority as `ca` to a dispatcher',
      }
    : { code: UNREACHABLE }
}

/** Where a name has several addresses, Node's error for all of them has no message of its own. */
function spokenOut(cause: Error): Error {
  if (!(cause instanceof AggregateError) || cause.message !== '') return cause
  const message = cause.errors.map((error: Error) => error.message).join('; ')
  return Object.assign(new Error(message, { cause }), { code: (cause as NodeJS.ErrnoException).code })
}

/** The parser's errors, and those undici raises for a 100 or a 101 that nobody asked for. */
function isMalformed(cause: Error): boolean {
  return cause.name === 'HTTPParserError' || /^bad (?:response|upgrade)$/.test(cause.message)
}
