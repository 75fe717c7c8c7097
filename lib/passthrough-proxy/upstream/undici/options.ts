import type { UpstreamRequest } from '../upstream.js'
import type { DispatchOptions } from './dispatcher.js'

/** Puts a request into undici's terms. */
export function dispatchOptions(request: UpstreamRequest): DispatchOptions {
  const { origin, path, method, lines, contentLength, body, headersTimeoutMs, idleTimeoutMs, upgrade } =
    request
  return {
    origin,
    path,
    method,
    // Without a length undici sends chunks.
    headers: contentLength === undefined ? (lines as string[]) : [...lines, 'content-length', contentLength],
    body,
    headersTimeout: headersTimeoutMs,
    bodyTimeout: idleTimeoutMs,
    // Without `reset` undici gives up the connection after HEAD, and after a body with GET, DELETE or OPTIONS.
    reset: upgrade === undefined ? false : undefined,
    upgrade,
  }
}

const idempotent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

/** Tells whether a request may be sent twice without doing anything twice (RFC 9110 §9.2.2). */
export function isRepeatable({ method, body, upgrade }: DispatchOptions): boolean {
  return idempotent.has(method) && body == null && upgrade === undefined
}
