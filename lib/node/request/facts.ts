import type { ServerHttp2Stream } from 'node:http2'
import { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { type FramingName, framingNames } from '../../shared/framing-names.js'
import { IncomingMessage, type ServerResponse } from '../http.js'
import { FEEDS_REQUEST, type ParsedRequest } from '../internals.js'
import { readableStateOf } from '../streams/state.js'
import { nativeReadOf } from './methods.js'

/*
 * Facts about a request, decided by the objects that Node holds. The version in a request line is only what the
 * client wrote (`GET / HTTP/2.0` comes over HTTP/1 too), and an application may change `req.headers`.
 */

/**
 * Tells whether a request came, or a response goes, over HTTP/2: only then it has a stream. A pushed response has no
 * request.
 */
export function isHttp2(message: IncomingMessage | ServerResponse): boolean {
  const { stream } = message as { stream?: { respond?: unknown } | null }
  return typeof stream?.respond === 'function'
}

/** Returns the stream of a request or response over HTTP/2. */
export function streamOf(message: IncomingMessage | ServerResponse): ServerHttp2Stream {
  return (message as unknown as { readonly stream: ServerHttp2Stream }).stream
}

/** Tells whether the client of a request understands chunks, trailers and interim responses, as Node decides it. */
export function takesChunks(req: IncomingMessage): boolean {
  return !isHttp2(req) && req.httpVersionMajor >= 1 && req.httpVersionMinor >= 1
}

/** Tells whether a client is served as an HTTP/1.0 client, without chunks, trailers or interim responses. */
export function isServedAsHttp10(req: IncomingMessage): boolean {
  return !isHttp2(req) && !takesChunks(req)
}

/** Tells whether a request may have a body, even an empty one. */
export function mayHaveBody(req: IncomingMessage): boolean {
  return isHttp2(req) || framingOf(req) !== undefined || mayGetBodyFromHost(req) || hasCutHead(req)
}

/**
 * Tells whether a host may deliver a body that no header line announces. A request that is not a stream cannot have
 * one.
 */
function mayGetBodyFromHost(req: IncomingMessage): boolean {
  return isDeliveredByHost(req) && isStream(req)
}

/**
 * Tells whether a host, such as a function adapter, made the request: Node keeps the lines of each head that it
 * parses.
 */
export function isMadeByHost(req: IncomingMessage): boolean {
  return rawHeadersOf(req).length === 0
}

/**
 * Tells whether a host delivers the body. Some give a request the lines of its head, but no connection. A connection
 * may be any duplex stream, which a program gives to the server.
 */
function isDeliveredByHost(req: IncomingMessage): boolean {
  return isMadeByHost(req) || !(hasConnection(req) || (req.socket as unknown) instanceof Duplex)
}

/**
 * Tells whether a request can be read as a stream. A mock may be a plain event emitter, even if Express has given it
 * the prototype of a request.
 */
export function isStream(req: IncomingMessage): boolean {
  return (req as Partial<ParsedRequest>)._readableState !== undefined
}

/**
 * Tells whether a request has a connection that can be closed in stages; function adapters use a plain object
 * instead.
 */
export function hasConnection(req: IncomingMessage): boolean {
  return isFramedByConnection(req) || (req.socket as unknown) instanceof Socket
}

/**
 * Tells whether the whole body has arrived. A host that delivers it on demand, through a `_read` of its own, may set
 * `complete` before it has delivered a byte.
 */
export function isBodyComplete(req: IncomingMessage): boolean {
  return req.complete && (readableStateOf(req as ParsedRequest).ended || !hasReadOfHost(req))
}

/**
 * Makes `complete` of a request over HTTP/2 stay true once its body has arrived, as over HTTP/1. Node's own value is
 * true only once the request was read to its end, which a request that can be read again never is.
 */
export function rememberCompletion(req: IncomingMessage): void {
  if (isHttp2(req)) Object.defineProperty(req, 'complete', { value: true, configurable: true })
}

/** Tells whether a host delivers the body, through a `_read` of its own. */
function hasReadOfHost(req: IncomingMessage): boolean {
  // oxlint-disable-next-line typescript/unbound-method
  return !hasConnection(req) && nativeReadOf(req as ParsedRequest) !== IncomingMessage.prototype._read
}

/** Tells whether a request comes from a connection, which then frames its body even if no header line does. */
export function isFramedByConnection(req: IncomingMessage): boolean {
  return isHttp2(req) || isFramedByParser(req)
}

/** Tells whether the parser of an HTTP/1 connection hands over the body: at most as many bytes as the head announces. */
export function isFramedByParser(req: IncomingMessage): boolean {
  const { socket } = req as { socket?: Partial<ParsedRequest['socket']> }
  return !isHttp2(req) && (socket?.parser ?? null) !== null
}

/**
 * Tells whether a body that the head does not announce may appear when it is read: a host delivers it at any time. A
 * GET that is `complete`, holds nothing and would be read from a connection, as Node's are, has none.
 */
export function mayHaveUnannouncedBody(req: IncomingMessage): boolean {
  if (!isDeliveredByHost(req)) return false
  const isOver = req.complete && req.readableLength === 0 && (req.method === 'GET' || req.method === 'HEAD')
  // oxlint-disable-next-line typescript/unbound-method
  return !isOver || req._read !== IncomingMessage.prototype._read
}

/** Tells whether a body may follow although the head announces none: over HTTP/2 it ends with the stream. */
export function hasOpenStream(req: IncomingMessage): boolean {
  return isHttp2(req) && !streamOf(req).endAfterHeaders
}

/** Tells whether the stream of a request over HTTP/2 is closed in both directions, or was reset. */
export function hasClosedStream(req: IncomingMessage): boolean {
  return isHttp2(req) && streamOf(req).closed
}

/** Tells whether the stream of a request over HTTP/2 was reset, or its connection lost: its body may then be cut. */
export function wasReset(req: IncomingMessage): boolean {
  if (!isHttp2(req)) return false
  const { aborted, rstCode } = streamOf(req)
  return aborted || (rstCode ?? 0) !== 0
}

/**
 * Tells whether a body over HTTP/2 has ended before its announced length or, if that is not known or not all of it was
 * counted, with its stream. The bytes of a request that nobody has read stay in its stream, and Node discards them there.
 */
export function isCutShort({ req, received, length, missesBytes }: ReceivedBody): boolean {
  if (!isHttp2(req)) return false
  const isCounted =
    !missesBytes && !Number.isNaN(length) && streamOf(req).listeners('data').some(feedsRequest)
  return isCounted ? received < length : wasReset(req)
}

/** Tells whether other code reads the stream of a request over HTTP/2 itself, instead of the request. */
export function isStreamRead(stream: ServerHttp2Stream): boolean {
  return stream.listenerCount('readable') > 0 || !stream.listeners('data').every(feedsRequest)
}

function feedsRequest({ name }: Function): boolean {
  return name === FEEDS_REQUEST
}

interface ReceivedBody {
  readonly req: IncomingMessage
  readonly received: number
  /** True if other code has read bytes that were not counted. */
  readonly missesBytes: boolean
  /** The announced length, or NaN. */
  readonly length: number
}

/** Returns the length of the body that the head announces; NaN for a body in chunks, and if it announces none. */
export function announcedLength(req: IncomingMessage): number {
  const framing = framingOf(req)
  return framing?.name === 'content-length' ? Number(framing.value) : Number.NaN
}

/**
 * Tells whether a body has a transfer coding that hides its end. Node answers 400 to such a message, unless it asks
 * for an upgrade.
 */
export function hasUnknownCoding({ rawHeaders }: IncomingMessage): boolean {
  let last: string | undefined
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (framingName(rawHeaders[i] as string) === 'transfer-encoding') last = rawHeaders[i + 1]
  }
  return last !== undefined && !/(?:^|,)[ \t]*chunked[ \t]*$/i.test(last)
}

/**
 * Tells whether Node has dropped lines of the head, any of which may frame the body.
 *
 * Node 20 keeps `server.maxHeadersCount` lines (1000) and silently drops the others; later versions answer 431. A
 * head with exactly as many lines may be complete or not; it counts as cut if no line frames a body.
 */
export function hasCutHead(req: IncomingMessage): boolean {
  const { length } = rawHeadersOf(req)
  const max = (req as ParsedRequest).socket?.parser?.maxHeaderPairs ?? 0
  if (max <= 0 || length < max) return false
  return length > max || (DROPS_LINES && framingOf(req) === undefined)
}

/** Returns the lines of a head; some mocks have none. */
function rawHeadersOf(req: IncomingMessage): readonly string[] {
  return (req as { rawHeaders?: readonly string[] }).rawHeaders ?? []
}

const DROPS_LINES = process.versions.node.startsWith('20.')

interface Framing {
  readonly name: FramingName
  readonly value: string
}

/**
 * Finds the line that frames the body: among those that came over the wire, or if a host made the request, in its
 * headers.
 */
function framingOf(req: IncomingMessage): Framing | undefined {
  const rawHeaders = rawHeadersOf(req)
  let framing: Framing | undefined
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = framingName(rawHeaders[i] as string)
    if (name === 'transfer-encoding') return { name, value: rawHeaders[i + 1] as string }
    if (name !== undefined) framing ??= { name, value: rawHeaders[i + 1] as string }
  }
  return framing ?? framingInHeaders(req)
}

/** Compares lengths before names, as this runs for each line of each request. */
function framingName(name: string): FramingName | undefined {
  if (name.length === 14 && name.toLowerCase() === 'content-length') return 'content-length'
  if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') return 'transfer-encoding'
  return undefined
}

function framingInHeaders({ headers }: IncomingMessage): Framing | undefined {
  for (const name of framingNames) {
    const value = headers[name]
    if (value !== undefined) return { name, value }
  }
  return undefined
}
