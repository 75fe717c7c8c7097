import {
  isSluicewayError,
  sluicewayError,
  type ErrorCode,
  type ErrorDetails,
  type SluicewayError,
} from '../shared/errors.js'
import { isError } from '../shared/is-error.js'
import { notAnError } from '../shared/thrown.js'
import type { Failure, FailureKind } from './upstream/upstream.js'

/** The hooks that took part in a request or head which could not be written, and are then to blame. */
export interface Hooked {
  /** True if `onRequest` or `path` took part in the request. */
  readonly request: boolean
  /** True if `onResponse` took part in the head of the response. */
  readonly response: boolean
}

/** Tells which hooks a proxy has. A subscriber of its channel may have changed the request, too. */
export function hookedBy(
  { path, onRequest, onResponse }: Readonly<Record<'path' | 'onRequest' | 'onResponse', unknown>>,
  isChangedByOthers: boolean,
): Hooked {
  const request = (onRequest ?? path) !== undefined || isChangedByOthers
  return { request, response: onResponse !== undefined }
}

interface Kind {
  /** The code, which determines the status. */
  readonly code: ErrorCode
  /**
   * The advice for the developer; it contains nothing that a client may not read. The default is the code's message.
   */
  readonly message?: string
  readonly headers?: Readonly<Record<string, string>>
}

const UNREACHABLE = 'ERR_SLUICEWAY_UPSTREAM_UNREACHABLE'
const BAD_RESPONSE = 'ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE'

const kinds: Readonly<Record<FailureKind, Kind>> = {
  unreachable: { code: UNREACHABLE },
  untrusted: {
    code: UNREACHABLE,
    message:
      'the certificate of the upstream is not trusted; give its authority as `ca` in the option "connect"',
  },
  reset: { code: 'ERR_SLUICEWAY_UPSTREAM_RESET' },
  malformed: { code: BAD_RESPONSE },
  timeout: { code: 'ERR_SLUICEWAY_UPSTREAM_TIMEOUT' },
  unsendable: { code: 'ERR_SLUICEWAY_PROXY_BAD_REQUEST' },
  'queue-full': { code: 'ERR_SLUICEWAY_UPSTREAM_QUEUE_FULL', headers: { 'Retry-After': '1' } },
  closed: { code: UNREACHABLE, message: 'the connections to the upstream were closed' },
  broken: hookKind('the dispatcher failed'),
}

const unsendableHook = hookKind('onRequest or path made a request that cannot be sent')

const unwritableHook = hookKind('onResponse made a head that cannot be sent')

/** The codes of the errors with which Node refuses to write a head. */
const badHead: ReadonlySet<string> = new Set([
  'ERR_INVALID_CHAR',
  'ERR_INVALID_HTTP_TOKEN',
  'ERR_HTTP_INVALID_HEADER_VALUE',
  'ERR_HTTP_INVALID_STATUS_CODE',
  'ERR_HTTP_TRAILER_INVALID',
  'ERR_HTTP2_INVALID_CONNECTION_HEADERS',
  'ERR_HTTP2_STATUS_INVALID',
])

/** Creates the error for a failure of an upstream; an error of this package is returned unchanged. */
export function failureError({ kind, message, cause }: Failure, hooked: Hooked): SluicewayError {
  if (isSluicewayError(cause)) return cause
  const found = kind === 'unsendable' && hooked.request ? unsendableHook : kinds[kind]
  return errorOf(found, cause === undefined ? { message } : { message, cause: withMessage(cause) })
}

/**
 * Creates the error for an exception while an answer is written, if Node has refused its head. Any other error is
 * returned unchanged.
 */
export function answerError(thrown: unknown, hooked: Hooked): Error {
  if (!isError(thrown)) return notAnError('passthroughProxy', thrown)
  if (isSluicewayError(thrown) || !badHead.has(String((thrown as NodeJS.ErrnoException).code))) return thrown
  return errorOf(hooked.response ? unwritableHook : { code: BAD_RESPONSE }, { cause: thrown })
}

/** Creates the error that the streams of a response get if the client leaves. Node's pipeline() gives this code. */
export function closedEarly(): Error {
  const error = new Error('the response was closed before its end')
  return Object.assign(error, { code: 'ERR_STREAM_PREMATURE_CLOSE' })
}

/** Creates the error for a client's request that cannot be passed on. */
export function refusedRequest(reason: string): Error {
  return sluicewayError('ERR_SLUICEWAY_PROXY_BAD_REQUEST', {
    message: `the request cannot be passed on: ${reason}`,
  })
}

/** Creates the error for a request that a hook has made unsendable, over any upstream. */
export function unsendableRequest(reason: string): Error {
  return errorOf(unsendableHook, { cause: new TypeError(reason) })
}

function errorOf({ code, message, headers }: Kind, details: ErrorDetails): SluicewayError {
  return sluicewayError(code, {
    ...(headers && { headers }),
    ...details,
    message: details.message ?? message,
  })
}

function hookKind(message: string): Kind {
  return { code: 'ERR_SLUICEWAY_PROXY_HOOK', message: `passthroughProxy: ${message}` }
}

/** Adds a message to Node's error for a name with several addresses, which has none of its own. */
function withMessage(cause: unknown): unknown {
  const { errors, message: own, code } = cause as Partial<AggregateError & NodeJS.ErrnoException>
  if (!Array.isArray(errors) || own !== '') return cause
  const message = errors.map((error: Error) => error.message).join('; ')
  return Object.assign(new Error(message, { cause }), { code })
}
