import { IncomingMessage, OutgoingMessage, type Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Readable, type Writable } from 'node:stream'

/**
 * The members of Node that this package relies on and that Node's documentation does not promise, all in one place.
 * They have been the same from Node 20 to 26; test/package/node-internals.test.ts looks for each of them.
 */

/** What a Readable knows about itself. A fresh one makes a stream look as if nobody had ever read it. */
export interface ReadableState {
  highWaterMark: number
  autoDestroy: boolean
  /** What went wrong; a stream that has it never emits 'end'. */
  errored: Error | null
  /** Bytes in the buffer. */
  length: number
  encoding: BufferEncoding | null
  /** True once somebody has read. */
  dataEmitted: boolean
  destroyed: boolean
  /** True once 'end' was emitted: a request that is destroyed after that was not aborted. */
  endEmitted: boolean
  /** Destinations of `pipe()`. */
  pipes: Writable[]
  /** null: nobody has asked for data yet; true: data flows as it comes. */
  flowing: boolean | null
}

/** A request as the HTTP parser sees it. */
export interface ParsedRequest extends IncomingMessage {
  socket: ServerSocket
  _readableState: ReadableState
  /** True where the head asks for an upgrade; Node makes it false where it serves the message as a plain request. */
  upgrade: boolean
  /** Set by the first `_read`. False when the response finishes makes Node throw the rest of the body away, uncounted. */
  _consuming: boolean
  /** The note of body-parser 1 that it has parsed this request. */
  _body?: boolean
  /** Set by stream internals on streams they believe to be destroyed. */
  [STREAM_DESTROYED]?: boolean
  /** Where it is set, what `stream.isDisturbed` tells. */
  [STREAM_DISTURBED]?: boolean
}

/** A request of Node's, which adds a line of its head to an object of headers by the rule for its name. */
type JoiningRequest = IncomingMessage & {
  _addHeaderLine(name: string, value: string, headers: NodeJS.Dict<string | string[]>): void
}

/** Joins the lines of a head as Node does for `req.headers`: some names keep the first line, others all of them. */
export function joinLines(req: IncomingMessage, lines: readonly string[]): NodeJS.Dict<string | string[]> {
  const headers: NodeJS.Dict<string | string[]> = {}
  // oxlint-disable-next-line typescript/unbound-method
  const { _addHeaderLine: add } = IncomingMessage.prototype as JoiningRequest
  for (let i = 0; i < lines.length; i += 2) add.call(req, lines[i] as string, lines[i + 1] as string, headers)
  return headers
}

/** An HTTP server, with the options of `createServer` that it keeps. */
export type CheckingServer = Server & {
  /** False where messages without `Host` are served. */
  readonly requireHostHeader?: boolean
  readonly rejectNonStandardBodyWrites?: boolean
}

/** The options are in Node's documentation of `OutgoingMessage`, but not in its types. */
type ResponseClass = new (
  req: IncomingMessage,
  options: { highWaterMark: number; rejectNonStandardBodyWrites: boolean | undefined },
) => ServerResponse

/** The class of a server's responses: Node's own, or that of the option `ServerResponse`. */
export function responseClassOf(server: Server): ResponseClass {
  const name = Object.getOwnPropertySymbols(server).find(
    ({ description }) => description === 'ServerResponse',
  )
  const own = name && (server as unknown as Record<symbol, ResponseClass | undefined>)[name]
  return own ?? ServerResponse
}

/** Name, as it was written, and value of each header. */
export type OutgoingHeaders = Record<string, [name: string, value: string | number | string[]]>

/** A response as Node sends it. */
export interface OutgoingResponse extends ServerResponse {
  /** True from a write that filled the buffer to the 'drain' that follows it. */
  [NEED_DRAIN]: boolean
  /** The headers that were set, by lower-cased name: what `getHeader` knows. null: none were. */
  [OUT_HEADERS]: OutgoingHeaders | null
  /** True where its connection has to close after it. */
  _last: boolean
  /** False where no body follows the head; set with the status, also where the head is then refused. */
  _hasBody: boolean
  /** Sends data behind the head, and the head before it where that has not been sent. */
  _send(data: string | Uint8Array, encoding: BufferEncoding, ...rest: unknown[]): boolean
}

/** A response that is told of its connection's end. */
export interface ClosableResponse extends ServerResponse {
  destroyed: boolean
  /** What `closed` tells. */
  _closed: boolean
}

/** The parser of one connection of an HTTP server. */
export interface RequestParser {
  /** The message that is being parsed. */
  incoming: IncomingMessage | null
  /** Called with each head. Returns 0 where the message is served as a plain request, 2 where it leaves HTTP. */
  onIncoming: (req: ParsedRequest, keepAlive: boolean) => number
  /** How many names and values of header lines are kept; none are dropped where it is 0. */
  readonly maxHeaderPairs?: number
  /** Parses bytes that came by 'data', and returns how many it has taken, or a parse error. */
  execute: (bytes: Buffer) => unknown
  /** The bytes that are being parsed, or have just been. */
  getCurrentBuffer?(): Buffer
  /** True where the parser takes its bytes from the socket's handle, and the socket has no 'data' events. */
  readonly _consumed?: boolean
  /** `kOnExecute` is the name of the member that is called with the number of bytes parsed, where `_consumed`. */
  readonly constructor: Function & { readonly kOnExecute?: number }
  [event: number]: unknown
}

/** Called after bytes were parsed, with their number, or with a parse error. */
export type OnExecute = (parsed: unknown) => void

/** A socket of an HTTP server. */
export interface ServerSocket extends Socket {
  parser?: RequestParser | null
  /** The response whose turn it is. Those of later requests wait behind it. */
  _httpMessage?: OutgoingResponse | null
  /** True while the HTTP server takes no more requests, as answers wait for the client. */
  _paused?: boolean
  /** Called by the HTTP server after a response with `Connection: close`. */
  destroySoon(): void
}

/** The member of a response that is true where its client has sent `Expect: 100-continue`. */
export const AWAITS_CONTINUE = '_expect_continue'

export const STREAM_DESTROYED: unique symbol = Symbol.for('nodejs.stream.destroyed') as never

export const STREAM_DISTURBED: unique symbol = Symbol.for('nodejs.stream.disturbed') as never

export const NEED_DRAIN: unique symbol = outgoingSymbol('kNeedDrain') as never

export const OUT_HEADERS: unique symbol = outgoingSymbol('kOutHeaders') as never

function outgoingSymbol(name: string): symbol | undefined {
  return Object.getOwnPropertySymbols(new OutgoingMessage()).find(({ description }) => description === name)
}

type ReadableStateConstructor = new (
  options: { highWaterMark: number; autoDestroy: boolean },
  stream: Readable,
  isDuplex: boolean,
) => ReadableState

const { ReadableState: NewReadableState } = Readable as unknown as { ReadableState: ReadableStateConstructor }

interface SocketState extends Socket {
  readonly _readableState: ReadableState
  readonly _writableState: { autoDestroy: boolean }
}

/** Has a socket that can not be written to any more be read to its end: it emits 'error', and is not destroyed. */
export function outliveWriting(socket: Socket): void {
  const { _readableState, _writableState } = socket as SocketState
  _readableState.autoDestroy = false
  _writableState.autoDestroy = false
}

/** Has a socket emit 'end' behind an error of writing. */
export function forgetWriteError(socket: Socket): void {
  const { _readableState } = socket as SocketState
  _readableState.errored = null
}

/** Makes a stream unread, unended and not destroyed. Its listeners stay. */
export function renewReadableState(stream: ParsedRequest): void {
  const { highWaterMark } = stream._readableState
  stream._readableState = new NewReadableState({ highWaterMark, autoDestroy: false }, stream, false)
}

/** Makes a stream look as if nobody had asked for its data: the next 'data' listener lets it flow. */
export function forgetFlow(stream: Readable): void {
  ;(stream as { readableFlowing: boolean | null }).readableFlowing = null
}

/** Lets the connection of a request flow: Node's own `_read`, whatever stands before it. */
export function letFlow(req: IncomingMessage, size = 0): void {
  IncomingMessage.prototype._read.call(req, size)
}

/** Lets a request be read after its response: Node takes the listeners off one of which nothing was asked by then. */
export function keepListeners(req: ParsedRequest): void {
  req._consuming = true
}
