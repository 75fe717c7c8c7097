import { CONNECT_TIMEOUT, HEAD_TOO_LARGE, HEADERS_TIMEOUT, IDLE_TIMEOUT } from '../messages.js'
import { untrusted } from '../untrusted.js'
import type { Failure, FailureKind } from '../upstream.js'
import type { Controller } from './dispatcher.js'

interface Kind {
  readonly kind: FailureKind
  readonly message?: string | undefined
}

/** The failures by the `code` of undici's error, or of the error that it passes on. */
const byCode: Readonly<Record<string, Kind>> = {
  UND_ERR_CONNECT_TIMEOUT: { kind: 'timeout', message: CONNECT_TIMEOUT },
  UND_ERR_HEADERS_TIMEOUT: { kind: 'timeout', message: HEADERS_TIMEOUT },
  UND_ERR_BODY_TIMEOUT: { kind: 'timeout', message: IDLE_TIMEOUT },
  UND_ERR_HEADERS_OVERFLOW: { kind: 'malformed', message: HEAD_TOO_LARGE },
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: { kind: 'malformed' },
  UND_ERR_RES_EXCEEDED_MAX_SIZE: { kind: 'malformed' },
  UND_ERR_INVALID_ARG: { kind: 'unsendable' },
  UND_ERR_NOT_SUPPORTED: { kind: 'unsendable' },
  UND_ERR_REQ_CONTENT_LENGTH_MISMATCH: { kind: 'unsendable' },
}

/** undici's codes for a dispatcher that its owner has closed. */
const closed: ReadonlySet<string> = new Set(['UND_ERR_CLOSED', 'UND_ERR_DESTROYED'])

/** The codes of an address that refuses connections at once. */
const refusals: ReadonlySet<string> = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH'])

/** Tells whether the connection was refused. */
export function isRefusal(error: Error): boolean {
  return refusals.has(codeOf(error))
}

/** Converts an error of undici or of the network to a failure. */
export function failureOf(error: Error, isConnected: boolean): Failure {
  if (isUpgradeOverHttp2(error)) return upgradeOverHttp2(error)
  const code = codeOf(error)
  const { kind, message } = byCode[code] ?? untrusted(code) ?? { kind: networkKind(error, isConnected) }
  return { kind, message, maybeHeard: isConnected, cause: error }
}

function networkKind(error: Error, isConnected: boolean): FailureKind {
  if (isConnected) return isMalformed(error) ? 'malformed' : 'reset'
  return closed.has(codeOf(error)) ? 'closed' : 'unreachable'
}

function codeOf(error: Error): string {
  return String((error as NodeJS.ErrnoException).code)
}

/**
 * Recognizes errors of the parser, errors that undici raises for a 100 or a 101 without a request for it, and
 * assertions that fail in undici if a status is below 100, or a 101 names no protocol.
 */
function isMalformed(error: Error): boolean {
  const isUnexpected = /^bad (?:response|upgrade)$/.test(error.message) || codeOf(error) === 'ERR_ASSERTION'
  return error.name === 'HTTPParserError' || isUnexpected
}

/**
 * Distinguishes trailers by name, as undici passes those of HTTP/2, from raw lines; if there are none, undici passes
 * an empty object.
 */
export function cameOverHttp2(trailers: Controller['rawTrailers']): boolean {
  return trailers != null && !Array.isArray(trailers) && Object.keys(trailers).length > 0
}

/**
 * The failure of an answer with trailers: undici 7 considers it complete when they come, even if its body was not
 * read.
 */
export const trailersOverHttp2: Failure = {
  kind: 'malformed',
  maybeHeard: true,
  message:
    'the upstream sent trailers over HTTP/2, where undici 7 loses the body; use a dispatcher without allowH2',
  cause: undefined,
}

/**
 * The failure of an answer that begins twice: with `pipelining`, undici may send a request again that is being answered,
 * when another one on its connection is aborted.
 */
export const secondHead: Failure = {
  kind: 'broken',
  maybeHeard: true,
  message: 'the dispatcher began the answer twice',
  cause: undefined,
}

/**
 * Creates the failure of an upgrade over HTTP/2, where it is another request with another answer (RFC 8441) that an
 * HTTP/1.1 client cannot use.
 */
export function upgradeOverHttp2(cause?: unknown): Failure {
  return {
    kind: 'malformed',
    maybeHeard: true,
    message:
      'the connection to the upstream is HTTP/2, which upgrades nothing; use a dispatcher without allowH2',
    cause,
  }
}

/** Recognizes undici's error for an upgrade that it does not send over HTTP/2. */
function isUpgradeOverHttp2({ message }: Error): boolean {
  return /^(?:HTTP\/2: Extended CONNECT |Custom upgrade .* over HTTP\/2$)/.test(message)
}

/** Recognizes the orderly end of an HTTP/2 connection, which the upstream has announced (RFC 9113 §6.8). */
export function isGoAway({ message }: Error): boolean {
  return message === 'HTTP/2: "GOAWAY" frame received with code 0'
}
