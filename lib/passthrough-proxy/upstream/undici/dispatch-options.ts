import { Readable } from 'node:stream'
import type { UpstreamRequest } from '../upstream.js'
import { ShieldedBody } from './shielded-body.js'

/** The options of a request for undici 7 and 8. */
interface DispatchOptions {
  readonly origin: string
  readonly path: string
  readonly method: string
  readonly headers: (string | string[])[]
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
  const headers = groupedLines(announcedLines(request))
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

/** Removes the announcement of trailers, as undici sends none. */
function announcedLines({ lines, trailers }: UpstreamRequest): readonly string[] {
  if (trailers === undefined) return lines
  return lines.filter((_, at) => (lines[at - (at % 2)] as string).toLowerCase() !== 'trailer')
}

/**
 * Returns the lines of a request for undici, with all values of a name at its first line: ProxyAgent keeps only the last
 * line of a name. undici refuses several values of Connection.
 */
function groupedLines(lines: readonly string[]): (string | string[])[] {
  const grouped: (string | string[])[] = []
  const places = new Map<string, number>()
  for (let i = 0; i < lines.length; i += 2) {
    const name = lines[i] as string
    const value = lines[i + 1] as string
    const place = places.get(name)
    if (place !== undefined) {
      addValue(grouped, place, value)
      continue
    }
    if (!isConnection(name)) places.set(name, grouped.length + 1)
    grouped.push(name, value)
  }
  return grouped
}

function addValue(grouped: (string | string[])[], place: number, value: string): void {
  const values = grouped[place] as string | string[]
  if (Array.isArray(values)) values.push(value)
  else grouped[place] = [values, value]
}

function isConnection(name: string): boolean {
  return name.toLowerCase() === 'connection'
}
