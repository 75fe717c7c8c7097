import { Readable } from 'node:stream'
import type { UpstreamRequest } from '../upstream.js'
import { ShieldedBody } from './shielded-body.js'

/** The options of a request for undici 7 and 8. */
interface DispatchOptions {
  readonly origin: string
  readonly path: string
  readonly method: string
  readonly headers: string[]
  readonly body: DispatchedBody
  readonly headersTimeout: number
  readonly bodyTimeout: number
  readonly reset: boolean | undefined
  readonly upgrade: string | undefined
}

export type DispatchedBody = Readable | Buffer | string | null

/** Returns the body of a request as it is dispatched, once or several times. */
export function dispatchedBody({ body, taken }: UpstreamRequest): DispatchedBody {
  return body instanceof Readable ? new ShieldedBody(body, taken) : body
}

/** Converts a request to undici's options, which are for one dispatch: an interceptor may change them, and the headers. */
export function dispatchOptions(request: UpstreamRequest, body: DispatchedBody): DispatchOptions {
  const { origin, path, method, contentLength, headersTimeoutMs, idleTimeoutMs, upgrade } = request
  const headers = announcedLines(request)
  // Without a length undici sends chunks.
  if (contentLength !== undefined) headers.push('content-length', contentLength)
  return {
    origin,
    path,
    method,
    headers,
    body,
    headersTimeout: headersTimeoutMs,
    bodyTimeout: idleTimeoutMs,
    // Without `reset` undici closes the connection after HEAD, and after a body with GET, DELETE or OPTIONS.
    reset: upgrade === undefined ? false : undefined,
    upgrade,
  }
}

/** Copies the lines, without the announcement of trailers, as undici sends none. */
function announcedLines({ lines, trailers }: UpstreamRequest): string[] {
  if (trailers === undefined) return lines.slice()
  return lines.filter((_, at) => (lines[at - (at % 2)] as string).toLowerCase() !== 'trailer')
}
