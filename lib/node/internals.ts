import { type IncomingMessage, OutgoingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Writable } from 'node:stream'
import type { BODY } from './keys.js'

/*
 * The members of Node and Express that this package relies on and that their documentation does not promise, each with
 * what breaks without it. They are the same from Node 20 to 26: test/package/node-internals.test.ts looks for each of
 * them, and README.md beside this file has the events and the orders. Only lib/node uses a member with an underscore.
 */

/** What a Readable knows about itself, in `_readableState`; the class is `Readable.ReadableState`. */
export interface ReadableState {
  highWaterMark: number
  /** Without it a request would be destroyed behind the end of its body, and could not be read again. */
  autoDestroy: boolean
  /** What went wrong. Without it no 'end' could follow an error of writing: an answer that has come would be lost. */
  errored: Error | null
  /** Bytes in the buffer. Without it what came before `bodyCache` could be neither counted nor kept. */
  length: number
  /** Without it a body that was decoded to strings before us would be kept as something else than its bytes. */
  encoding: BufferEncoding | null
  /** True once data was read. Without it half of a body would be kept for a whole one. */
  dataEmitted: boolean
  destroyed: boolean
  /** True once 'end' was emitted. Without it a client that leaves behind its whole body would be 'aborted'. */
  endEmitted: boolean
  /** True once the end has come. Without it a body that a function adapter delivers when it is asked would look empty. */
  ended: boolean
  /** True once 'close' was emitted. Without it a reader would fail with the close of the reading before it. */
  readonly closeEmitted: boolean
  /** Destinations of `pipe()`. Without it they would wait for ever for a body that has failed. */
  pipes: Writable[]
  /** null: no data has been asked for yet. Without it a refused body that nobody has begun to read would seem read. */
  readonly flowing: boolean | null
  /** Ours: the source of the body. */
  [BODY]?: object | undefined
}

/** What a Writable knows about itself, in `_writableState`. */
export interface WritableState {
  /** Without it a connection that cannot be written to would be closed with the answer unread. */
  autoDestroy: boolean
}

/** A request as the HTTP parser sees it. */
export interface ParsedRequest extends IncomingMessage {
  socket: ServerSocket
  /** Without it a request could not be read a second time, and its body's source would have no place. */
  _readableState: ReadableState
  /** Documented to be read. Without writing it, Node would go on to flow in a state that was replaced. */
  readableFlowing: boolean | null
  /** True where the head asks for an upgrade. Without it no upgrade could be served as a plain request. */
  upgrade: boolean
  /** Set by the first `_read`. Without it Node would read the rest of an answered body itself, without a bound. */
  _consuming: boolean
  /** Of body-parser 1: it has parsed this request. Without it the second parser would skip the body. */
  _body?: boolean
  /** Set by stream internals on a request that they mean to destroy. Without it they would not read it again. */
  [STREAM_DESTROYED]?: boolean
  /** What `stream.isDisturbed` tells. Without it fetch would refuse a request that was read before. */
  [STREAM_DISTURBED]?: boolean
}

/** A request that joins lines of its head. */
export interface JoiningRequest extends IncomingMessage {
  /** Adds a line to an object of headers by the rule for its name. Without it a changed header could not be told. */
  _addHeaderLine(name: string, value: string, headers: NodeJS.Dict<string | string[]>): void
}

/** An HTTP server, with the options of `createServer` that it keeps, and under a symbol `ServerResponse`. */
export type CheckingServer = Server & {
  /** False where messages without `Host` are served. Without it they would be upgraded where Node answers 400. */
  readonly requireHostHeader?: boolean
  /** Without it the response to an upgrade would be less strict than those of its server. */
  readonly rejectNonStandardBodyWrites?: boolean
}

/** Name, as it was written, and value of each header. */
export type OutgoingHeaders = Record<string, [name: string, value: string | number | string[]]>

/** A response as Node sends it. */
export interface OutgoingResponse extends ServerResponse {
  /** True from a write that filled the buffer to its 'drain'. Without it the answer to an upgrade would never drain. */
  [NEED_DRAIN]: boolean
  /** The headers that were set, by their names in lower case. Without it repeated lines of an answer would be lost. */
  [OUT_HEADERS]: OutgoingHeaders | null
  /** True where its connection closes after it. Without it leftover bytes of a refused body would be a request. */
  _last: boolean
  /** False where no body follows the head. Without it the answer to a head that Node refused would be empty. */
  _hasBody: boolean
  /** The length of the body, inside of `res.end(…)`. Without it whole answers would be taken for streams. */
  readonly _contentLength?: number | null
  /** Sends data behind the head, and the head first. Without it a head would be sent as UTF-8. */
  _send(data: string | Uint8Array, encoding: BufferEncoding, ...rest: unknown[]): boolean
}

/** A response that is told of its connection's end, which up to Node 22 is told only to the one whose turn it is. */
export interface ClosableResponse extends ServerResponse {
  /** What `closed` tells. Without it files and budgets of the responses behind would stay for good. */
  _closed: boolean
}

/** The parser of one connection of an HTTP server. */
export interface RequestParser {
  /** The message that is being parsed. Without it an idle connection would hold its last request, and the body. */
  incoming: IncomingMessage | null
  /**
   * Called with each head. Returns 0 where the message is served as a plain request, 2 where it leaves HTTP. Without it
   * what follows a refused body would be served.
   */
  onIncoming: (req: ParsedRequest, keepAlive: boolean) => number
  /** How many names and values of header lines are kept. Without it a line that frames a body could be missed. */
  readonly maxHeaderPairs?: number
  /** Parses bytes, and returns how many it has taken. Without it what follows a declined upgrade would be lost. */
  execute: (bytes: Buffer) => unknown
  /** The bytes that are being parsed, or have just been. Without it the same. */
  getCurrentBuffer?(): Buffer
  /** True where the parser takes its bytes from the socket's handle. Without it the same. */
  readonly _consumed?: boolean
  /** `kOnExecute` names the member that is called with the number of bytes parsed. Without it the same. */
  readonly constructor: Function & { readonly kOnExecute?: number }
  [event: number]: unknown
}

/** Called after bytes were parsed, with their number, or with a parse error. */
export type OnExecute = (parsed: unknown) => void

/** A socket of an HTTP server. */
export interface ServerSocket extends Socket {
  /** Without it nothing of the above could be reached. */
  parser?: RequestParser | null
  /** The response whose turn it is. Without it an upgrade would be taken in the middle of another answer. */
  _httpMessage?: OutgoingResponse | null
  /** True while the server takes no more requests. Without it bytes behind a declined upgrade would come out of turn. */
  _paused?: boolean
  /** Called by the server after the last response. Without it the rest of an upload would reset the connection. */
  destroySoon(): void
}

/** True where the client of a response waits for a 100. Without it a body sent without waiting would end the connection. */
export const AWAITS_CONTINUE = '_expect_continue'

export const STREAM_DESTROYED: unique symbol = Symbol.for('nodejs.stream.destroyed') as never

export const STREAM_DISTURBED: unique symbol = Symbol.for('nodejs.stream.disturbed') as never

export const NEED_DRAIN: unique symbol = outgoingSymbol('kNeedDrain') as never

export const OUT_HEADERS: unique symbol = outgoingSymbol('kOutHeaders') as never

function outgoingSymbol(name: string): symbol | undefined {
  return Object.getOwnPropertySymbols(new OutgoingMessage()).find(({ description }) => description === name)
}
