import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { excludesBody } from '../../shared/response-facts.js'
import { type IncomingMessage, ServerResponse } from '../http.js'
import { NEED_DRAIN, type OutgoingResponse, type ParsedRequest, type ServerSocket } from '../internals.js'
import { WATCHERS } from '../keys.js'
import { hasConnection, isHttp2, streamOf } from '../request/facts.js'

/* The state that the HTTP server keeps of a connection, its requests and its responses. */

/** Returns the response whose turn it is on a connection. */
export function currentResponse({ _httpMessage: res }: ServerSocket): OutgoingResponse | undefined {
  return res ?? undefined
}

/** Tells whether the HTTP server accepts no more requests from a connection, as answers wait for its client. */
export function isHeldUp({ _paused }: ServerSocket): boolean {
  return _paused === true
}

/** Tells whether the connection closes after a response. */
export function closesAfter({ _last }: OutgoingResponse): boolean {
  return _last
}

/** Makes the head of a response announce that the connection closes. */
export function announceClosing(res: ServerResponse): void {
  res.shouldKeepAlive = false
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
 * Tells whether the other side has reset a connection: the reset may come together with its last bytes, and libuv then
 * reports an orderly end, but there is no peer any more. `remoteAddress` is of no use, because Node remembers it once
 * it was read, as tracers of `net` do.
 */
export function isReset(socket: Duplex): boolean {
  const error = (socket as Partial<ServerSocket>)._handle?.getpeername?.({})
  return error !== undefined && error !== 0
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

/** Keeps a request readable after its response: Node removes the listeners of a request that was not read by then. */
export function keepListeners(req: ParsedRequest): void {
  req._consuming = true
}

/** Tells whether code has begun to read a request, so that Node leaves the rest to it. */
export function isBegun(req: ParsedRequest): boolean {
  return req._consuming ?? (req.readableFlowing !== null || req.readableDidRead)
}

/**
 * Lets other code see that a request of a function adapter can be read again. Adapters mark a request as finished when
 * the application has returned, or their socket ends with the body: body-parser would skip it, and leave in `req.body`
 * what the adapter has put there.
 *
 * finalhandler then waits for the request, and listens to its socket, which may be a plain object. It gets the two
 * methods of an emitter that are called. Nothing happens on such a socket.
 */
export function lookUnfinished(req: ParsedRequest): void {
  if (hasConnection(req)) return
  Object.defineProperty(req, 'readable', { get: isUnread, set: ignoreMark, configurable: true })
  const { socket } = req as { socket?: ServerSocket | null }
  if (!socket) return
  if (socket.readable) Object.defineProperty(socket, 'readable', { get: isOpen, configurable: true })
  if ((socket as Partial<ServerSocket>).on !== undefined) return
  Object.assign(socket, { on: returnThis, removeListener: returnThis })
}

/** The value of `readable` without the mark of an adapter. */
function isUnread(this: ParsedRequest): boolean {
  return !this.destroyed && !this.readableEnded && this.errored === null
}

function ignoreMark(): void {}

/** A plain object is never destroyed. */
function isOpen(this: Partial<ServerSocket>): boolean {
  return this.destroyed !== true
}

function returnThis(this: unknown): unknown {
  return this
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

/** An object that is told when a connection ends. */
export interface ConnectionWatcher {
  connectionClosed(): void
}

type WatchedSocket = Socket & { [WATCHERS]?: Set<ConnectionWatcher> | undefined }

/**
 * Tells `watcher` when a connection has closed. All watchers of a connection share one listener: a client may send
 * any number of requests on it before the first is answered, and Node warns of the eleventh listener.
 */
export function watchConnection(socket: WatchedSocket, watcher: ConnectionWatcher): void {
  if (socket[WATCHERS] === undefined) {
    socket[WATCHERS] = new Set()
    socket.on('close', tellWatchers)
  }
  socket[WATCHERS].add(watcher)
}

/** Stops watching. The last watcher removes the listener, as a connection may live long. */
export function unwatchConnection(socket: WatchedSocket, watcher: ConnectionWatcher): void {
  const watchers = socket[WATCHERS]
  if (watchers?.delete(watcher) !== true || watchers.size > 0) return
  socket[WATCHERS] = undefined
  socket.off('close', tellWatchers)
}

function tellWatchers(this: WatchedSocket): void {
  for (const watcher of this[WATCHERS] ?? []) watcher.connectionClosed()
}
