import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'

import { isSluicewayError, sluicewayError } from '../shared/errors.js'
import type { HeaderList } from './header-list.js'

/** The request as it will be sent to the upstream; `onRequest` may change all of it. */
export interface OutgoingRequest {
  method: string
  /** Path and query, including the target's prefix. */
  path: string
  /** The headers without Host, framing and hop-by-hop headers, which follow from the rest. */
  readonly headers: HeaderList
  /**
   * The client's body as it arrives, or null if there is none. null drops the body; any other value replaces it. A
   * stream that a hook puts here belongs to the proxy, which destroys it in the end.
   */
  body: Readable | Buffer | string | null
}

/** The response of the upstream before its head is sent; `onResponse` may change all of it. */
export interface IncomingResponse {
  /** The status, 200 or more: interim responses are passed on without a hook. */
  statusCode: number
  statusMessage: string
  /**
   * The headers without hop-by-hop headers. Content-Length may be deleted, which makes the body chunked, but not
   * changed.
   */
  readonly headers: HeaderList
}

/** Changes a request before it is sent. */
export type RequestHook = (outgoing: OutgoingRequest, req: IncomingMessage) => void | Promise<void>

/** Changes the head of a response before it is written. */
export type ResponseHook = (incoming: IncomingResponse, req: IncomingMessage, res: ServerResponse) => void

/** Runs `onRequest`; an exception becomes an error of the hook. */
export async function runRequestHook(
  hook: RequestHook,
  outgoing: OutgoingRequest,
  req: IncomingMessage,
): Promise<void> {
  try {
    await hook(outgoing, req)
    // Any other path could be interpreted as a URL.
    if (!outgoing.path.startsWith('/')) throw new TypeError("the path must begin with '/'")
  } catch (cause) {
    throw hookError('onRequest failed', cause)
  }
}

/** Runs `onResponse`; an exception becomes an error of the hook. */
export function runResponseHook(
  hook: ResponseHook,
  incoming: IncomingResponse,
  { req, res }: { readonly req: IncomingMessage; readonly res: ServerResponse },
): void {
  const length = incoming.headers.getAll('content-length')
  try {
    const result: unknown = hook(incoming, req, res)
    if (result instanceof Promise) {
      result.catch(() => {})
      throw new TypeError('onResponse must not be asynchronous: the head of the response is on its way')
    }
    requireSameFraming(incoming, length)
  } catch (cause) {
    throw hookError('onResponse failed', cause)
  }
}

/**
 * Throws if a hook has changed the framing: the body comes as the upstream sends it, so no other length can be
 * announced.
 */
function requireSameFraming({ statusCode, headers }: IncomingResponse, length: readonly string[]): void {
  if (statusCode < 200) throw new TypeError(`statusCode must be 200 or more, got ${statusCode}`)
  if (headers.has('transfer-encoding')) throw new TypeError('Transfer-Encoding is not for a hook to set')
  const set = headers.getAll('content-length')
  if (set.length > 0 && String(set) !== String(length)) {
    throw new TypeError(`Content-Length may be deleted, but not set to ${set.join(', ')}`)
  }
}

/** Creates the error of a hook. An error of this package that a hook throws on purpose, such as a 413, is kept. */
export function hookError(message: string, cause: unknown): unknown {
  if (isSluicewayError(cause)) return cause
  return sluicewayError('ERR_SLUICEWAY_PROXY_HOOK', { message: `passthroughProxy: ${message}`, cause })
}
