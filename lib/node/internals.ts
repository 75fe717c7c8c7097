import { type IncomingMessage, OutgoingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Writable } from 'node:stream'
import type { BODY } from './keys.js'

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
  /** Ours: the source of the body. */
  [BODY]?: object | undefined
}

/** What a Writable knows about itself. */
export interface WritableState {
  autoDestroy: boolean
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

/** A request that joins lines of its head. */
export interface JoiningRequest extends IncomingMessage {
  /** Adds a line to an object of headers by the rule for its name. */
  _addHeaderLine(name: string, value: string, headers: NodeJS.Dict<string | string[]>): void
}

/** An HTTP server, with the options of `createServer` that it keeps. */
export type CheckingServer = Server & {
  /** False where messages without `Host` are served. */
  readonly requireHostHeader?: boolean
  readonly rejectNonStandardBodyWrites?: boolean
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
  /** The length of the body, where that is known before the head is made. */
  readonly _contentLength?: number | null
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
