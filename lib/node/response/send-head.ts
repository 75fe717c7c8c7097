import type { Socket } from 'node:net'
import { ServerResponse } from '../http.js'
import { HTTP2_TRAILERS, type OutgoingResponse } from '../internals.js'
import { isHttp2 } from '../request/facts.js'
import { type Method, queueHead, runBefore, wrapMethod } from './methods.js'

/**
 * Tells whether the head of a response has been written. Some frameworks give a response a `headersSent` of their own:
 * that of @fastify/express is false until Fastify itself answers. Node's own state may be an empty head:
 * serverless-http begins with one.
 */
export function isHeadWritten(res: ServerResponse): boolean {
  return res.headersSent || Boolean((res as OutgoingResponse)._header)
}

/** Tells whether a head that has been written is on its way: Node may still hold it back for the first bytes of a body. */
export function isHeadSent(res: ServerResponse): boolean {
  return isHeadWritten(res) && !isHeldBack(res)
}

/** Tells whether Node itself has written a head, and holds it back for the first bytes of the body. */
export function isHeadHeld(res: ServerResponse): boolean {
  return Boolean((res as OutgoingResponse)._header) && isHeldBack(res)
}

function isHeldBack(res: ServerResponse): boolean {
  return (res as OutgoingResponse)._headerSent === false
}

/**
 * Sends the head of a response now, as Node sends it with a body: one byte for each character. Node's own
 * `flushHeaders` writes it as UTF-8, and so turns each byte past ASCII into two.
 */
export function sendHead(res: ServerResponse): void {
  if (hasNodesFlush(res)) flushBytes(res)
  else res.flushHeaders()
}

function flushBytes(res: OutgoingResponse): void {
  if (!isHeadWritten(res)) res.writeHead(res.statusCode)
  res._send('', 'latin1')
}

/** Calls `run` before a handler sends the head of a response ahead of its end: by `write` or `flushHeaders`. */
export function beforeHead(res: ServerResponse, run: () => void): void {
  const flush = hasNodesFlush(res) ? () => flushBytes(res) : res.flushHeaders.bind(res)
  res.flushHeaders = () => {
    run()
    flush()
  }
  runBefore(res, 'write', run)
}

/**
 * From Node 22 to 25, what is written to a corked response whose head was sent comes after the end of its body, unless
 * it was uncorked before: the client gets an empty body. A head that waits for the body keeps the first write in place.
 */
const MISPLACES_CORKED = [22, 23, 24, 25].includes(Number.parseInt(process.versions.node, 10))

/**
 * Sends the head of a response before its handler would; see `sendHead`. Where Node misplaces corked bytes, they are
 * kept in place.
 */
export function sendHeadEarly(res: ServerResponse): void {
  if (MISPLACES_CORKED && isHeldBack(res)) wrapMethod(res, 'end', uncorkAndEnd)
  sendHead(res)
}

/* c8 ignore start -- coverage is measured on Node 20 too, which does not need this */
function uncorkAndEnd(res: ServerResponse, end: Method, args: unknown[]): unknown {
  for (let corks = res.writableCorked; corks > 0; corks -= 1) res.uncork()
  return end.apply(res, args)
}
/* c8 ignore stop */

/**
 * Sends `100 Continue`, also before a head that was written, but that Node holds back for the body: from Node 24 on,
 * `writeContinue` throws then. The head of a response that waits for its turn must not overtake it.
 */
export function sendBeforeHead(res: OutgoingResponse): void {
  const isWritten = isHeadWritten(res)
  if (isWritten) res._writeRaw('HTTP/1.1 100 Continue\r\n\r\n', 'latin1')
  else res.writeContinue()
  if (res.socket !== null) return flushCorked(res.socket)
  if (isWritten) sendHeadEarly(res)
  else queueHead(res)
}

/** Sends what a corked socket holds. A handler may cork its response before it reads a body that waits for the 100. */
function flushCorked(socket: Socket): void {
  const corks = socket.writableCorked
  for (let i = 0; i < corks; i += 1) socket.uncork()
  for (let i = 0; i < corks; i += 1) socket.cork()
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
  if (isHttp2(res)) removeHttp2Trailers(res, replaced)
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

/**
 * Tells whether the `flushHeaders` of a response is Node's own over HTTP/1. That of other code has to be called, and
 * HTTP/2 has no such bytes.
 */
// oxlint-disable-next-line typescript/unbound-method
function hasNodesFlush(res: ServerResponse): res is OutgoingResponse {
  return res.flushHeaders === ServerResponse.prototype.flushHeaders
}
