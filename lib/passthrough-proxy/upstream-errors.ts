import { isSluicewayError, sluicewayError, type ErrorCode, type ErrorDetails } from '../shared/errors.js'
import type { Failure, FailureKind } from './upstream/upstream.js'

/** Which hooks had their hands on what could not be written: it is their fault then. */
export interface Hooked {
  /** `onRequest` or `path` made the request. */
  readonly request: boolean
  /** `onResponse` made the head of the response. */
  readonly response: boolean
}

interface Kind {
  /** Its status follows from it. */
  readonly code: ErrorCode
  /** What to do about it; nothing that a client may not read. By default the words of the code. */
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

/** Node will not write such a head. */
const badHead: ReadonlySet<string> = new Set([
  'ERR_INVALID_CHAR',
  'ERR_INVALID_HTTP_TOKEN',
  'ERR_HTTP_INVALID_HEADER_VALUE',
  'ERR_HTTP_INVALID_STATUS_CODE',
  'ERR_HTTP_TRAILER_INVALID',
])

/** Makes an error of what an upstream tells; errors of our own stay what they are. */
export function failureError({ kind, message, cause }: Failure, hooked: Hooked): Error {
  if (isSluicewayError(cause)) return cause
  const found = kind === 'unsendable' && hooked.request ? unsendableHook : kinds[kind]
  return errorOf(found, cause === undefined ? { message } : { message, cause: spokenOut(cause) })
}

/** Names what was thrown while an answer was written: a head that Node refuses. An error of the application stays what it is. */
export function answerError(thrown: unknown, hooked: Hooked): Error {
  if (!(thrown instanceof Error)) return new Error('something was thrown that is no error', { cause: thrown })
  if (isSluicewayError(thrown) || !badHead.has(String((thrown as NodeJS.ErrnoException).code))) return thrown
  return errorOf(hooked.response ? unwritableHook : { code: BAD_RESPONSE }, { cause: thrown })
}

/** The error for a request that a hook has made unsendable, whichever way it would have gone. */
export function unsendableRequest(reason: string): Error {
  return errorOf(unsendableHook, { cause: new TypeError(reason) })
}

function errorOf({ code, message, headers }: Kind, details: ErrorDetails): Error {
  return sluicewayError(code, {
    ...(headers && { headers }),
    ...details,
    message: details.message ?? message,
  })
}

function hookKind(message: string): Kind {
  return { code: 'ERR_SLUICEWAY_PROXY_HOOK', message: `passthroughProxy: ${message}` }
}

/** Where a name has several addresses, Node's error for all of them has no message of its own. */
function spokenOut(cause: unknown): unknown {
  if (!(cause instanceof AggregateError) || cause.message !== '') return cause
  const message = cause.errors.map((error: Error) => error.message).join('; ')
  return Object.assign(new Error(message, { cause }), { code: (cause as NodeJS.ErrnoException).code })
}
