import createError from 'http-errors'
import { type Entry, withEntry } from './error-page.js'
import { isError } from './is-error.js'

/** The codes of this package's errors. docs/errors.md has an entry for each. */
export type ErrorCode =
  | 'ERR_SLUICEWAY_BODY_TOO_LARGE'
  | 'ERR_SLUICEWAY_BODY_TOO_SLOW'
  | 'ERR_SLUICEWAY_BODY_ABORTED'
  | 'ERR_SLUICEWAY_BODY_ALREADY_READ'
  | 'ERR_SLUICEWAY_BODY_RELEASED'
  | 'ERR_SLUICEWAY_BODY_MALFORMED'
  | 'ERR_SLUICEWAY_BODY_INVALID'
  | 'ERR_SLUICEWAY_HEAD_CUT'
  | 'ERR_SLUICEWAY_STORAGE_FULL'
  | 'ERR_SLUICEWAY_STORAGE_FAILED'
  | 'ERR_SLUICEWAY_CHARSET_UNSUPPORTED'
  | 'ERR_SLUICEWAY_ENCODING_UNSUPPORTED'
  | 'ERR_SLUICEWAY_UPSTREAM_UNREACHABLE'
  | 'ERR_SLUICEWAY_UPSTREAM_RESET'
  | 'ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE'
  | 'ERR_SLUICEWAY_UPSTREAM_TIMEOUT'
  | 'ERR_SLUICEWAY_UPSTREAM_QUEUE_FULL'
  | 'ERR_SLUICEWAY_PROXY_HOOK'
  | 'ERR_SLUICEWAY_PROXY_BAD_REQUEST'
  | 'ERR_SLUICEWAY_PROXY_LOOP'

/** The numbers and causes of a failure, which are copied onto the error. */
export interface ErrorDetails {
  /** The limit that was passed, in bytes. */
  readonly limit?: number | undefined
  /** The number of bytes received when the error was created. */
  readonly received?: number | undefined
  /** The announced length (Content-Length), in bytes. */
  readonly length?: number | undefined
  /** The error behind this one. It is never sent to a client. */
  readonly cause?: unknown
  /** Replaces the code's usual message. The client may see it if the status is below 500. */
  readonly message?: string | undefined
  /** The text that could not be parsed, under the name that body-parser uses. */
  readonly body?: string | undefined
  /** The issues that a Standard Schema found with a value. */
  readonly issues?: readonly unknown[] | undefined
  /** Headers that Express's own error handler adds to the answer. */
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** An `http-errors` error. Compare its `code`, not its class: two copies of this package may live in one process. */
export interface SluicewayError extends Error, Omit<ErrorDetails, 'message' | 'cause'> {
  readonly status: number
  readonly statusCode: number
  /** True if the message may be shown to the client (status below 500). */
  readonly expose: boolean
  readonly code: ErrorCode
  /** The name that body-parser and raw-body give to the same failure, if they have one. */
  readonly type?: string
  readonly message: string
}

interface Kind {
  readonly status: number
  readonly message: string
  readonly type?: string
}

const kinds: Readonly<Record<ErrorCode, Kind>> = {
  ERR_SLUICEWAY_BODY_TOO_LARGE: {
    status: 413,
    type: 'entity.too.large',
    message: 'request entity too large',
  },
  ERR_SLUICEWAY_BODY_TOO_SLOW: { status: 408, message: 'request body came too slowly' },
  ERR_SLUICEWAY_BODY_ABORTED: { status: 400, type: 'request.aborted', message: 'request aborted' },
  ERR_SLUICEWAY_BODY_ALREADY_READ: {
    status: 500,
    type: 'stream.not.readable',
    message: 'the request body was already read by another middleware; mount bodyCache() before it',
  },
  ERR_SLUICEWAY_BODY_RELEASED: {
    status: 500,
    type: 'stream.not.readable',
    message: 'the request body was released when its response ended; read it before that',
  },
  ERR_SLUICEWAY_BODY_MALFORMED: {
    status: 400,
    type: 'entity.parse.failed',
    message: 'request body could not be parsed',
  },
  ERR_SLUICEWAY_BODY_INVALID: { status: 400, message: 'request body is not valid' },
  ERR_SLUICEWAY_HEAD_CUT: { status: 431, message: 'too many header lines' },
  ERR_SLUICEWAY_STORAGE_FULL: { status: 503, message: 'no room to keep the request body' },
  ERR_SLUICEWAY_STORAGE_FAILED: { status: 500, message: 'the request body could not be kept in a file' },
  ERR_SLUICEWAY_CHARSET_UNSUPPORTED: {
    status: 415,
    type: 'charset.unsupported',
    message: 'unsupported charset',
  },
  ERR_SLUICEWAY_ENCODING_UNSUPPORTED: {
    status: 415,
    type: 'encoding.unsupported',
    message: 'unsupported content encoding',
  },
  ERR_SLUICEWAY_UPSTREAM_UNREACHABLE: { status: 502, message: 'the upstream could not be reached' },
  ERR_SLUICEWAY_UPSTREAM_RESET: { status: 502, message: 'the upstream closed the connection' },
  ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE: { status: 502, message: 'the upstream sent an invalid response' },
  ERR_SLUICEWAY_UPSTREAM_TIMEOUT: { status: 504, message: 'the upstream took too long' },
  ERR_SLUICEWAY_UPSTREAM_QUEUE_FULL: {
    status: 503,
    message: 'too many requests wait for a connection to the upstream',
  },
  ERR_SLUICEWAY_PROXY_HOOK: { status: 500, message: 'a hook of passthroughProxy failed' },
  ERR_SLUICEWAY_PROXY_BAD_REQUEST: { status: 400, message: 'the request cannot be passed on' },
  ERR_SLUICEWAY_PROXY_LOOP: {
    status: 508,
    message: 'the request has come back to the proxy that sent it on',
  },
}

/**
 * Creates the error for `code`, a fresh one for each failure. `details` override the code's usual message and are
 * copied onto the error. From status 500 on, the message ends with the address of the error's entry.
 */
export function sluicewayError(code: ErrorCode, details: ErrorDetails = {}): SluicewayError {
  const { status, message: usual, ...type } = kinds[code]
  const { message = usual, ...rest } = details
  const isForClients = status < 500
  const text = isForClients ? message : withEntry(message, code.toLowerCase() as Entry)
  const error = createError(status, text, { ...rest, ...type, code })
  return error as unknown as SluicewayError
}

/** Creates the error of a body that has passed its limit; `length` is NaN if none was announced. */
export function bodyTooLarge(body: {
  readonly limit: number
  readonly received: number
  readonly length: number
}): SluicewayError {
  const { limit, received, length } = body
  const announced = Number.isNaN(length) ? undefined : length
  return sluicewayError('ERR_SLUICEWAY_BODY_TOO_LARGE', { limit, received, length: announced })
}

/** Tells whether `error` comes from this package, or from another copy of it. */
export function isSluicewayError(error: unknown): error is SluicewayError {
  return isError(error) && 'code' in error && Object.hasOwn(kinds, String(error.code))
}
