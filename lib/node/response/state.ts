import type { Server } from 'node:http'
import { excludesBody } from '../../shared/response-facts.js'
import { type IncomingMessage, ServerResponse } from '../http.js'
import { NEED_DRAIN, type OutgoingResponse } from '../internals.js'
import { isHttp2, streamOf } from '../request/facts.js'
import { isHeadHeld, isHeadWritten } from './send-head.js'

/* Reads and writes the state that Node keeps of a response. */

/** Tells whether the connection closes after a response. */
export function closesAfter({ _last }: OutgoingResponse): boolean {
  return _last
}

/**
 * Makes the head of a response announce that the connection closes, even if a header of the application promises to
 * keep it, or if the head was written and Node still holds it back for the body.
 */
export function announceClosing(res: ServerResponse): void {
  res.shouldKeepAlive = false
  if (isHeadHeld(res)) closeHeldHead(res as OutgoingResponse)
  else if (!isHeadWritten(res)) replaceKeepAlive(res)
}

/** Finds the promise of an application to keep a connection, in a value and in a head. An upgrade may be offered beside it. */
const KEEP_ALIVE = /(?<![\w-])keep-alive(?![\w-])/i
const KEEP_ALIVE_LINE = /^connection(: (?:.*[ ,])?)keep-alive(?![\w-])/im

function replaceKeepAlive(res: ServerResponse): void {
  const connection = String(res.getHeader('Connection'))
  const closing = connection.replace(KEEP_ALIVE, 'close')
  if (closing !== connection) res.setHeader('Connection', closing)
}

function closeHeldHead(res: OutgoingResponse): void {
  const head = String(res._header)
  res._header = head.replace(/^keep-alive: .*\r\n/im, '').replace(KEEP_ALIVE_LINE, 'Connection$1close')
  closeAfter(res)
}

/** Tells whether an application has itself sent a 100. */
export function hasInvited({ _sent100 }: OutgoingResponse): boolean {
  return _sent100 === true
}

/** Makes Node close the connection after a response, even if its head has not announced it. */
export function closeAfter(res: OutgoingResponse): void {
  res._last = true
}

/** Makes a response emit 'drain' once its connection has drained, as Node does after a write that fills the buffer. */
export function awaitDrain(res: OutgoingResponse): void {
  res[NEED_DRAIN] = true
}

/** Tells the writer of a response that its connection has drained, as the server does on its own connections. */
export function tellDrained(res: OutgoingResponse): void {
  res[NEED_DRAIN] = false
  res.emit('drain')
}

/** Tells whether a response waits for its client to read. Up to Node 22 one over HTTP/2 does not tell. */
export function needsDrain(res: ServerResponse): boolean {
  return isHttp2(res) ? streamOf(res).writableNeedDrain : res.writableNeedDrain
}

/**
 * Returns the length of a body that is known before its head is created: in `res.end(…)` without an earlier write.
 */
export function lengthBeforeHead(res: ServerResponse): number | undefined {
  return (res as OutgoingResponse)._contentLength ?? undefined
}

/**
 * Tells whether the client takes a body, before the head is written: it has not asked with HEAD. The application may
 * have changed `req.method` since.
 */
export function takesBody(res: ServerResponse): boolean {
  const { _hasBody: takes = (res.req as IncomingMessage | null)?.method !== 'HEAD' } =
    res as Partial<OutgoingResponse>
  return takes
}

/** Tells whether a body follows the head of a response with this status. */
export function sendsBody(res: ServerResponse, status: number): boolean {
  return takesBody(res) && !excludesBody(status)
}

/** Makes a response have a body again after Node has refused its head, if the client `takes` one. */
export function expectBody(res: ServerResponse, takes: boolean): void {
  ;(res as OutgoingResponse)._hasBody = takes
}

/** The constructor with the options that Node documents for `OutgoingMessage`, but leaves out of its types. */
type ResponseClass = new (
  req: IncomingMessage,
  options: { highWaterMark: number; rejectNonStandardBodyWrites: boolean | undefined },
) => ServerResponse

/** Returns the class of a server's responses: Node's own, or that of the option `ServerResponse`. */
export function responseClassOf(server: Server): ResponseClass {
  const name = Object.getOwnPropertySymbols(server).find(
    ({ description }) => description === 'ServerResponse',
  )
  const own = name && (server as unknown as Record<symbol, ResponseClass | undefined>)[name]
  return own ?? ServerResponse
}
