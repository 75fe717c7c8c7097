import { isSluicewayError, sluicewayError, type ErrorCode, type SluicewayError } from '../shared/errors.js'

/** How far a request had come when it failed. */
export interface Progress {
  /** The request had a connection. */
  readonly connected: boolean
  /** `onRequest` had its hands on the request. */
  readonly requestHooked: boolean
  /** `onResponse` had its hands on the response. */
  readonly responseHooked: boolean
}

const byCode: Readonly<Record<string, ErrorCode>> = {
  UND_ERR_CONNECT_TIMEOUT: 'ERR_SLUICEWAY_UPSTREAM_TIMEOUT',
  UND_ERR_HEADERS_TIMEOUT: 'ERR_SLUICEWAY_UPSTREAM_TIMEOUT',
  UND_ERR_BODY_TIMEOUT: 'ERR_SLUICEWAY_UPSTREAM_TIMEOUT',
  UND_ERR_HEADERS_OVERFLOW: 'ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE',
  UND_ERR_RES_EXCEEDED_MAX_SIZE: 'ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE',
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

/** Names a failure of undici or of the network; errors of our own stay what they are. */
export function upstreamError(cause: Error, progress: Progress): SluicewayError {
  return isSluicewayError(cause) ? cause : sluicewayError(codeOf(cause, progress), { cause })
}

function codeOf(cause: Error & { code?: unknown }, progress: Progress): ErrorCode {
  const code = String(cause.code)
  const known = byCode[code]
  if (known !== undefined) return known
  if (badRequest.has(code)) {
    return progress.requestHooked ? 'ERR_SLUICEWAY_PROXY_HOOK' : 'ERR_SLUICEWAY_PROXY_BAD_REQUEST'
  }
  if (badHead.has(code)) {
    return progress.responseHooked ? 'ERR_SLUICEWAY_PROXY_HOOK' : 'ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE'
  }
  if (!progress.connected) return 'ERR_SLUICEWAY_UPSTREAM_UNREACHABLE'
  return isMalformed(cause) ? 'ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE' : 'ERR_SLUICEWAY_UPSTREAM_RESET'
}

/** The parser's errors, and those undici raises for a 100 or a 101 that nobody asked for. */
function isMalformed(cause: Error): boolean {
  return cause.name === 'HTTPParserError' || /^bad (?:response|upgrade)$/.test(cause.message)
}
