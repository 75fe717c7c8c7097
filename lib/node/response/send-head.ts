import { ServerResponse } from '../http.js'
import { HTTP2_TRAILERS, type OutgoingResponse } from '../internals.js'
import { isHttp2 } from '../request/facts.js'

/**
 * Tells whether the head of a response has been written. Some frameworks give a response a `headersSent` of their own:
 * that of @fastify/express is false until Fastify itself answers. Node's own state may be an empty head:
 * serverless-http begins with one.
 */
export function isHeadWritten(res: ServerResponse): boolean {
  return res.headersSent || Boolean((res as OutgoingResponse)._header)
}

/**
 * Sends the head of a response now, as Node sends it with a body: one byte for each character. Node's own
 * `flushHeaders` writes it as UTF-8, and so turns each byte past ASCII into two.
 */
export function sendHead(res: ServerResponse): void {
  if (!hasNodesFlush(res)) {
    res.flushHeaders()
    return
  }
  if (!isHeadWritten(res)) res.writeHead(res.statusCode)
  res._send('', 'latin1')
}

/**
 * Adds trailers to those that were added before, except `replaced`. Node's own method drops all earlier ones, but over
 * HTTP/2 it keeps them all.
 */
export function addTrailers(
  res: ServerResponse,
  trailers: Record<string, string>,
  replaced: readonly string[],
): void {
  if (isHttp2(res.req)) removeHttp2Trailers(res, replaced)
  const before = ((res as OutgoingResponse)._trailer ?? '').split('\r\n').filter((line) => line !== '')
  const kept = before.filter((line) => !replaced.includes(nameOf(line)))
  if (kept.length === 0) res.addTrailers(trailers)
  else res.addTrailers([...kept.map(pairOf), ...Object.entries(trailers)])
}

function removeHttp2Trailers(res: ServerResponse, names: readonly string[]): void {
  const key = Object.getOwnPropertySymbols(res).find(({ description }) => description === HTTP2_TRAILERS)
  const trailers = key && (res as unknown as Record<symbol, object | undefined>)[key]
  if (trailers) for (const trailer of names) Reflect.deleteProperty(trailers, trailer)
}

function pairOf(line: string): [name: string, value: string] {
  const [name = '', value = ''] = line.split(/: (.*)/s)
  return [name, value]
}

function nameOf(line: string): string {
  return line.slice(0, line.indexOf(':')).toLowerCase()
}

/**
 * Returns a header of a response, or '', also of a written head: Node keeps no headers of `writeHead` unless others
 * were set before.
 */
export function headerOf(res: ServerResponse, name: string): string {
  return String(res.getHeader(name) ?? lineOf((res as OutgoingResponse)._header, name) ?? '')
}

function lineOf(head: unknown, name: string): string | undefined {
  if (typeof head !== 'string') return undefined
  const line = head.split('\r\n').find((each) => nameOf(each) === name)
  return line?.slice(name.length + 1).trim()
}

/** False for HTTP/2, which has no such bytes, and for a `flushHeaders` of other code, which has to be called. */
// oxlint-disable-next-line typescript/unbound-method
function hasNodesFlush(res: ServerResponse): res is OutgoingResponse {
  return res.flushHeaders === ServerResponse.prototype.flushHeaders
}
