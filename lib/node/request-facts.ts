import { IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import { Socket } from 'node:net'
import type { ParsedRequest } from './internals.js'
import { nativeReadOf } from './request-methods.js'
import { readableStateOf } from './stream-state.js'

/*
 * What a request is, decided by what Node holds. The version in a request line is a word of the client
 * (`GET / HTTP/2.0` comes over HTTP/1 too), and an application may change `req.headers`.
 */

/** Tells whether a request came over HTTP/2: only then is there a stream behind it. */
export function isHttp2(req: IncomingMessage): boolean {
  const { stream } = req as { stream?: { respond?: unknown } | null }
  return typeof stream?.respond === 'function'
}

/** Tells whether the client of a request takes chunks and what needs them: an HTTP/1.1 client, as Node decides it. */
export function takesChunks(req: IncomingMessage): boolean {
  return !isHttp2(req) && req.httpVersionMajor >= 1 && req.httpVersionMinor >= 1
}

/** Tells whether a client is served as one of HTTP/1.0, which knows no chunks, trailers or interim responses. */
export function isServedAsHttp10(req: IncomingMessage): boolean {
  return !isHttp2(req) && !takesChunks(req)
}

/** Tells whether a request may have a body, be it an empty one. */
export function mayHaveBody(req: IncomingMessage): boolean {
  return isHttp2(req) || framingOf(req) !== undefined || mayComeUnannounced(req) || hasCutHead(req)
}

/** A host may deliver a body that no header line announces. What is no stream has none but the one it announces. */
function mayComeUnannounced(req: IncomingMessage): boolean {
  return isMadeByHost(req) && isStream(req)
}

/** Tells whether a request was made by a host (a function adapter, say): of each head that Node parses it keeps the lines. */
export function isMadeByHost(req: IncomingMessage): boolean {
  return rawHeadersOf(req).length === 0
}

/**
 * Tells whether a request can be read as a stream. That of a mock may be a plain event emitter, also where Express has
 * given it the prototype of a request.
 */
export function isStream(req: IncomingMessage): boolean {
  return (req as Partial<ParsedRequest>)._readableState !== undefined
}

/** Tells whether a request has a connection that can be closed in stages; function adapters put a plain object there. */
export function hasConnection(req: IncomingMessage): boolean {
  return isFramedByConnection(req) || (req.socket as unknown) instanceof Socket
}

/**
 * Tells whether all of the body has come. A host says `complete` of a request before it has delivered a byte, if it does
 * so only when it is asked: by a `_read` of its own.
 */
export function hasComeWhole(req: IncomingMessage): boolean {
  return req.complete && (readableStateOf(req as ParsedRequest).ended || !deliversItself(req))
}

/** Tells whether a host delivers the body, through a `_read` of its own. */
export function deliversItself(req: IncomingMessage): boolean {
  // oxlint-disable-next-line typescript/unbound-method
  return !hasConnection(req) && nativeReadOf(req as ParsedRequest) !== IncomingMessage.prototype._read
}

/** Tells whether a request comes from a connection, so that its body is framed there, also where no header line says so. */
export function isFramedByConnection(req: IncomingMessage): boolean {
  const { socket } = req as { socket?: Partial<ParsedRequest['socket']> }
  return isHttp2(req) || (socket?.parser ?? null) !== null
}

/**
 * Tells whether a body may show only when it is read, if the head announces none: a host delivers it when it likes. Of a
 * GET that is `complete`, holds nothing and would be read from a connection, as Node's are, there is none.
 */
export function mayHaveUnannouncedBody(req: IncomingMessage): boolean {
  if (!isMadeByHost(req)) return false
  const isOver = req.complete && req.readableLength === 0 && (req.method === 'GET' || req.method === 'HEAD')
  // oxlint-disable-next-line typescript/unbound-method
  return !isOver || req._read !== IncomingMessage.prototype._read
}

/** Tells whether a body follows that the head may say nothing of: over HTTP/2 the end of the stream is its end. */
export function hasOpenStream(req: IncomingMessage): boolean {
  return isHttp2(req) && !(req as unknown as Http2ServerRequest).stream.endAfterHeaders
}

/** The length of the body that the head announces; NaN where it announces none, or a body in chunks. */
export function announcedLength(req: IncomingMessage): number {
  const framing = framingOf(req)
  return framing?.name === 'content-length' ? Number(framing.value) : Number.NaN
}

/**
 * Tells whether a body comes in a transfer coding whose end cannot be found. Node answers 400 to such a message, but
 * not where it asks for an upgrade.
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
 * Node 20 keeps so many lines as `server.maxHeadersCount` says (1000) and drops the others without a word. Later ones
 * answer 431 themselves. A head with just as many lines may be whole or cut; it counts as cut where it frames no body.
 */
export function hasCutHead(req: IncomingMessage): boolean {
  const { length } = rawHeadersOf(req)
  const most = (req as ParsedRequest).socket?.parser?.maxHeaderPairs ?? 0
  if (most <= 0 || length < most) return false
  return length > most || (DROPS_LINES && framingOf(req) === undefined)
}

/** Some mocks have none. */
function rawHeadersOf(req: IncomingMessage): readonly string[] {
  return (req as { rawHeaders?: readonly string[] }).rawHeaders ?? []
}

const DROPS_LINES = process.versions.node.startsWith('20.')

interface Framing {
  readonly name: 'content-length' | 'transfer-encoding'
  readonly value: string
}

/** Finds the line that frames the body: as it came over the wire, or where a host made the request, in its headers. */
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

/** Both names are told by their length before anything is compared: this runs for each line of each request. */
function framingName(name: string): Framing['name'] | undefined {
  if (name.length === 14 && name.toLowerCase() === 'content-length') return 'content-length'
  if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') return 'transfer-encoding'
  return undefined
}

function framingInHeaders({ headers }: IncomingMessage): Framing | undefined {
  for (const name of ['transfer-encoding', 'content-length'] as const) {
    const value = headers[name]
    if (value !== undefined) return { name, value }
  }
  return undefined
}
