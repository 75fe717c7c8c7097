import type { UpstreamRequest } from './upstream.js'

const idempotent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

/** Tells whether a request can be sent twice without a second effect (RFC 9110 §9.2.2). */
export function isRepeatable({ method, body, upgrade }: UpstreamRequest): boolean {
  return idempotent.has(method) && body === null && upgrade === undefined
}
