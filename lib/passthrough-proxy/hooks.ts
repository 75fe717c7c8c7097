import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'

import { isSluicewayError, sluicewayError } from '../shared/errors.js'
import type { HeaderList } from './header-list.js'

/** The request as it will go to the upstream; `onRequest` may change any of it. */
export interface OutgoingRequest {
  method: string
  /** Path and query, the target's prefix included. */
  path: string
  /** Without Host, framing and hop-by-hop headers: those follow from the rest. */
  readonly headers: HeaderList
  /** The client's body as it arrives, or null where there is none. null drops it; anything else replaces it. */
  body: Readable | Buffer | string | null
}

/** The response of the upstream before its head goes out; `onResponse` may change any of it. */
export interface IncomingResponse {
  /** From 200 up: interim responses are passed on without a hook. */
  statusCode: number
  statusMessage: string
  /** Without hop-by-hop headers. Content-Length may be deleted, which makes the body chunked, but not changed. */
  readonly headers: HeaderList
}

/** Changes a request before it is sent. */
export type RequestHook = (outgoing: OutgoingRequest, req: IncomingMessage) => void | Promise<void>

/** Changes the head of a response before it is written. */
export type ResponseHook = (incoming: IncomingResponse, req: IncomingMessage, res: ServerResponse) => void

/** Runs `onRequest`; whatever it throws becomes an error of the hook. */
export async function runRequestHook(
  hook: RequestHook,
  outgoing: OutgoingRequest,
  req: IncomingMessage,
): Promise<void> {
  try {
    await hook(outgoing, req)
    // Anything else might be taken for a URL, and sent as it is.
    if (!outgoing.path.startsWith('/')) throw new TypeError("the path must begin with '/'")
  } catch (cause) {
    throw hookError('onRequest failed', cause)
  }
}

/** Runs `onResponse`; whatever it throws becomes an error of the hook. */
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

/** The body comes as the upstream sends it, so no other length can be announced, and no interim status. */
function requireSameFraming({ statusCode, headers }: IncomingResponse, length: readonly string[]): void {
  if (statusCode < 200) throw new TypeError(`statusCode must be 200 or more, got ${statusCode}`)
  if (headers.has('transfer-encoding')) throw new TypeError('Transfer-Encoding is not for a hook to set')
  const set = headers.getAll('content-length')
  if (set.length > 0 && String(set) !== String(length)) {
    throw new TypeError(`Content-Length may be deleted, but not set to ${set.join(', ')}`)
  }
}

/** An error of this package that a hook throws on purpose (a 413, say) stays what it is. */
export function hookError(message: string, cause: unknown): unknown {
  if (isSluicewayError(cause)) return cause
  return sluicewayError('ERR_SLUICEWAY_PROXY_HOOK', { message: `passthroughProxy: ${message}`, cause })
}
