import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Writable } from 'node:stream'
import { IncomingMessage, OutgoingMessage, type ServerResponse } from './http.js'
import type { BODY } from './keys.js'

/*
 * The members of Node and Express that this package relies on although no documentation promises them, each with what
 * breaks without it. They are the same from Node 20 to 26: test/package/node-internals.test.ts checks each of them.
 * README.md in this folder lists events and orders. Only lib/node uses members with an underscore.
 */

/** The state of a Readable, its `_readableState`; the class is `Readable.ReadableState`. */
export interface ReadableState {
  /** Without it a request that is read again would not buffer as much as its server allows. */
  highWaterMark: number
  /** Without it a request would be destroyed at the end of its body, and could not be read again. */
  autoDestroy: boolean
  /**
   * The error of the stream. Without it no 'end' could follow an error of writing: an answer that has arrived would be
   * lost.
   */
  errored: Error | null
  /**
   * The number of bytes in the buffer. Without it bytes from before `bodyCache` could be neither counted nor kept.
   */
  length: number
  /** Without it strings that an earlier reader has decoded would be kept instead of the body's bytes. */
  encoding: BufferEncoding | null
  /**
   * Decodes the bytes if there is an encoding. The length of a character that it has begun, and the bytes that are
   * missing: without them the first bytes of such a character would be lost.
   */
  readonly decoder: { readonly lastTotal: number; readonly lastNeed: number } | null
  /** True once data was read. Without it half of a body would be kept as a whole one. */
  dataEmitted: boolean
  /** Without it a request that a loop has left would count as being read. */
  destroyed: boolean
  /**
   * True once 'end' was emitted. Without it a client that leaves after its whole body would be 'aborted', and one that
   * ends its half before its upgrade is taken would get no 101.
   */
  endEmitted: boolean
  /** True once the end was pushed. Without it a body that a function adapter delivers on demand would look empty. */
  ended: boolean
  /** True once 'close' was emitted. Without it a reader would fail with the 'close' of the previous reading. */
  readonly closeEmitted: boolean
  /** The destinations of `pipe()`. Without it they would wait for ever for a body that has failed. */
  pipes: Writable[]
  /** null until data is asked for. Without it a refused body that no reader has begun would look read. */
  readonly flowing: boolean | null
  /** Our own: the source of the body. */
  [BODY]?: object | undefined
}

/** The state of a Writable, its `_writableState`. */
export interface WritableState {
  /** Without it a connection that cannot be written to would be closed before its answer is read. */
  autoDestroy: boolean
}

/** A request as the HTTP parser sees it. */
export interface ParsedRequest extends IncomingMessage {
  socket: ServerSocket
  /** Without it a request could not be read a second time, and its body's source would have no place. */
  _readableState: ReadableState
  /** Documented as readable. Without writing it, Node would go on to flow in a state that was replaced. */
  readableFlowing: boolean | null
  /** True if the head asks for an upgrade. Without it no upgrade could be served as a plain request. */
  upgrade: boolean
  /** Set by the first `_read`. Without it Node would read the rest of an answered body itself, without a limit. */
  _consuming: boolean | undefined // undefined over HTTP/2
  /**
   * True if Node drops the bytes that still come, as the request was answered unread, or `optimizeEmptyRequests` has
   * ended it. Without it these bytes would be left to the garbage collector, and with that option bodyCache would cost
   * each GET as much as a body.
   */
  readonly _dumped?: boolean
  /** Set by body-parser 1 when it has parsed the request. Without it a second parser would skip the body. */
  _body?: boolean
  /** Set by stream internals on a request that they destroy. Without it they would not read the request again. */
  [STREAM_DESTROYED]?: boolean
  /** The value of `stream.isDisturbed`. Without it fetch would refuse a request that was read before. */
  [STREAM_DISTURBED]?: boolean
}

/** A request that joins the lines of its head. */
export interface JoiningRequest extends IncomingMessage {
  /**
   * Adds a line to an object of headers by the rule for its name. Without it a changed header could not be
   * recognized.
   */
  _addHeaderLine(name: string, value: string, headers: NodeJS.Dict<string | string[]>): void
}

/** An HTTP server with the options of `createServer` that it keeps; `ServerResponse` is under a symbol. */
export type CheckingServer = Server & {
  /** False if messages without `Host` are served. Without it they would be upgraded where Node answers 400. */
  readonly requireHostHeader?: boolean
  /** Without it the response to an upgrade would be less strict than those of its server. */
  readonly rejectNonStandardBodyWrites?: boolean
}

/** The name of each header, in its original case, and its value. */
export type OutgoingHeaders = Record<string, [name: string, value: string | number | string[]]>

/** A response as Node sends it. */
export interface OutgoingResponse extends ServerResponse {
  /**
   * True from a write that fills the buffer to its 'drain'. Without it the answer to an upgrade would never drain, nor
   * one of small chunks.
   */
  [NEED_DRAIN]: boolean
  /**
   * The headers that were set, by their names in lower case. Without it repeated lines of an answer would be lost.
   */
  [OUT_HEADERS]: OutgoingHeaders | null
  /** True if the connection closes after it. Without it leftover bytes of a refused body would become a request. */
  _last: boolean
  /** False if no body follows the head. Without it the answer to a head that Node refused would be empty. */
  _hasBody: boolean
  /** The length of the body within `res.end(…)`. Without it complete answers would be treated as streams. */
  readonly _contentLength?: number | null
  /**
   * The written head. Without it the Content-Type of a head that `writeHead` has written would not be known, and a client
   * that waits for a 100 would lose its connection to such a head.
   */
  _header?: string | null
  /**
   * True once `writeContinue` was called. Without it an application that calls it would lose the connection of a client
   * whose body it does not read.
   */
  readonly _sent100?: boolean
  /**
   * True once the head was sent or queued. Without it a corked body would come after its end behind autoFlush, up to
   * Node 24.
   */
  readonly _headerSent?: boolean
  /** The lines of the trailers. Without it the trailers of an application would be lost beside ours. */
  readonly _trailer?: string
  /** Sends the head, if it is due, and then data. Without it a head would be sent as UTF-8. */
  _send(data: string | Uint8Array, encoding: BufferEncoding, ...rest: unknown[]): boolean
  /** Sends bytes before the head. Without it a client would wait for a 100 that is due after the head was written. */
  _writeRaw(data: string, encoding: BufferEncoding): boolean
}

/** A response that can be told of its connection's end; up to Node 22, Node tells only the one whose turn it is. */
export interface ClosableResponse extends ServerResponse {
  /** The value of `closed`. Without it the files and budgets of the responses after it would never be released. */
  _closed: boolean
}

/** The parser of one connection of an HTTP server. */
export interface RequestParser {
  /** The message that is being parsed. Without it an idle connection would hold its last request, and its body. */
  incoming: IncomingMessage | null
  /**
   * Called with each head. Returns 0 if the message is served as a plain request, 2 if it leaves HTTP. Without it the
   * bytes after a refused body would be served.
   */
  onIncoming: (req: ParsedRequest, keepAlive: boolean) => number
  /**
   * The number of names and values of header lines that are kept. Without it a line that frames a body could be
   * missed.
   */
  readonly maxHeaderPairs?: number
  /** Parses bytes, and returns the number parsed. Without it the bytes after a declined upgrade would be lost. */
  execute: (bytes: Buffer) => unknown
  /**
   * Returns the bytes that are being parsed, or were parsed last. Without it the bytes after a declined upgrade would be
   * lost.
   */
  getCurrentBuffer?(): Buffer
  /**
   * True if the parser reads its bytes from the socket's handle. Without it the bytes after a declined upgrade would be
   * lost.
   */
  readonly _consumed?: boolean
  /**
   * The names of members. `kOnExecute` is called with the number of bytes parsed; without it the bytes after a declined
   * upgrade would be lost. `kOnBody` is called with each piece of a body; without it an upload would leave its memory to
   * the garbage collector.
   */
  readonly constructor: Function & { readonly kOnExecute?: number; readonly kOnBody?: number }
  [event: number]: unknown
}

/** Called with each piece of a body, which has memory of its own. */
export type OnBody = (this: RequestParser, chunk: Buffer) => void

/** Called after bytes were parsed, with their number or a parse error. */
export type OnExecute = (parsed: unknown) => void

/** A socket of an HTTP server. */
export interface ServerSocket extends Socket {
  /** Without it none of the above could be reached. */
  parser?: RequestParser | null
  /** The response whose turn it is. Without it an upgrade would be taken in the middle of another answer. */
  _httpMessage?: OutgoingResponse | null
  /**
   * True while the server accepts no more requests. Without it bytes after a declined upgrade would come out of turn.
   */
  _paused?: boolean
  /**
   * The TCP connection, also below TLS; its `getpeername` returns an error number if there is no peer any more.
   * Without it a connection that was reset would look like one whose client has ended its half.
   */
  readonly _handle?: { getpeername?(address: object): number } | null
  /** Called by the server after the last response. Without it the rest of an upload would reset the connection. */
  destroySoon(): void
}

/**
 * True if the client of a response waits for a 100. Without it a body sent without waiting would end the connection.
 */
export const AWAITS_CONTINUE = '_expect_continue'

/**
 * The description of the symbol under which a response over HTTP/2 keeps its trailers. Without it the exit of an earlier
 * child would stay beside that of the last.
 */
export const HTTP2_TRAILERS = 'trailers'

/**
 * The name of the listener by which a stream over HTTP/2 gives its bytes to its request. Without it the bytes that Node
 * discards with an unread request would look cut, and code that reads the stream itself would lose the rest of a body.
 */
export const FEEDS_REQUEST = 'onStreamData'

export const STREAM_DESTROYED: unique symbol = Symbol.for('nodejs.stream.destroyed') as never

export const STREAM_DISTURBED: unique symbol = Symbol.for('nodejs.stream.disturbed') as never

export const NEED_DRAIN: unique symbol = outgoingSymbol('kNeedDrain') as never

export const OUT_HEADERS: unique symbol = outgoingSymbol('kOutHeaders') as never

/**
 * The name of the method of a request that ends its signal's wait for the end of the connection, from Node 24.16 on.
 * Without it a client that got its answer to an upgrade would look as if it had left before.
 */
export const DETACH_SIGNAL: symbol | undefined = symbolOf(IncomingMessage.prototype, 'kDetachAbortSignal')

function outgoingSymbol(name: string): symbol | undefined {
  return symbolOf(new OutgoingMessage(), name)
}

function symbolOf(owner: object, name: string): symbol | undefined {
  return Object.getOwnPropertySymbols(owner).find(({ description }) => description === name)
}
