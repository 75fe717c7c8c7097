import { IncomingMessage, type ServerResponse } from 'node:http'
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
  /** Set by the first `_read`. False when the response finishes makes Node throw the rest of the body away, uncounted. */
  _consuming: boolean
  /** The note of body-parser 1 that it has parsed this request. */
  _body?: boolean
  /** Set by stream internals on streams they believe to be destroyed. */
  [STREAM_DESTROYED]?: boolean
  /** Where it is set, what `stream.isDisturbed` tells. */
  [STREAM_DISTURBED]?: boolean
}

/** A response as Node sends it. */
export interface OutgoingResponse extends ServerResponse {
  /** True where its connection has to close after it. */
  _last: boolean
  /** False where no body follows the head; set with the status, also where the head is then refused. */
  _hasBody: boolean
  /** Sends data behind the head, and the head before it where that has not been sent. */
  _send(data: string, encoding: BufferEncoding): boolean
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
  onIncoming: (req: IncomingMessage, keepAlive: boolean) => number
  /** How many names and values of header lines are kept; none are dropped where it is 0. */
  readonly maxHeaderPairs?: number
  /** The bytes that are being parsed. */
  getCurrentBuffer?(): Buffer
}

/** A socket of an HTTP server. */
export interface ServerSocket extends Socket {
  parser?: RequestParser | null
  /** Called by the HTTP server after a response with `Connection: close`. */
  destroySoon(): void
}

export const STREAM_DESTROYED: unique symbol = Symbol.for('nodejs.stream.destroyed') as never

export const STREAM_DISTURBED: unique symbol = Symbol.for('nodejs.stream.disturbed') as never

type ReadableStateConstructor = new (
  options: { highWaterMark: number; autoDestroy: boolean },
  stream: Readable,
  isDuplex: boolean,
) => ReadableState

const { ReadableState: NewReadableState } = Readable as unknown as { ReadableState: ReadableStateConstructor }

/** Makes a stream unread, unended and not destroyed. Its listeners stay. */
export function renewReadableState(stream: ParsedRequest): void {
  const { highWaterMark } = stream._readableState
  stream._readableState = new NewReadableState({ highWaterMark, autoDestroy: false }, stream, false)
}

/** Lets the connection of a request flow: Node's own `_read`, whatever stands before it. */
export function letFlow(req: IncomingMessage, size = 0): void {
  IncomingMessage.prototype._read.call(req, size)
}
