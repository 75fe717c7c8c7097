import { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import {
  type ParsedRequest,
  type ReadableState,
  type ServerSocket,
  STREAM_DESTROYED,
  STREAM_DISTURBED,
  type WritableState,
} from './internals.js'
import { BODY } from './keys.js'

/* What is read and written of the state of a stream. Each property read of a request itself is slow up to Node 22. */

/**
 * Tells whether a stream has a reader: by an event, a pipe, or an iterator, which all listen.
 * A bare `resume()` is none; it throws the body away, as finalhandler and body-parser do before they answer.
 */
export function hasListeners(stream: Readable): boolean {
  return stream.listenerCount('data') > 0 || stream.listenerCount('readable') > 0
}

export function readableStateOf(stream: ParsedRequest): Readonly<ReadableState> {
  return stream._readableState
}

/**
 * Returns the body source of a request, where a middleware has asked for one. Its class is above this file: the caller
 * says what it needs to see of it.
 */
export function sourceOf(req: IncomingMessage): object | undefined {
  return (req as ParsedRequest)._readableState[BODY]
}

/** Makes `source` the one body source of its request. */
export function setSource(req: ParsedRequest, source: object): void {
  req._readableState[BODY] = source
}

/** Lets the connection of a request flow: Node's own `_read`, whatever stands before it. */
export function letFlow(req: IncomingMessage, size = 0): void {
  IncomingMessage.prototype._read.call(req, size)
}

/** Keeps a request from being destroyed with the end of its body, behind which it is to be read again. */
export function outliveEnd(req: ParsedRequest): void {
  req._readableState.autoDestroy = false
}

/**
 * Tells whether Node is about to close a request that its host has read a moment ago: it marks, two ticks behind 'end',
 * the state that it finds by then, and emits 'close', at which readers that have begun meanwhile would fail.
 */
export function isCloseDue(req: IncomingMessage): boolean {
  const { destroyed, endEmitted, closeEmitted } = (req as ParsedRequest)._readableState
  return destroyed && endEmitted && !closeEmitted
}

/** Has code that waits for the end of a request take it for ended, as long as `tell` runs. */
export function whileEnded(req: ParsedRequest, tell: () => void): void {
  const { _readableState: state } = req
  const { endEmitted } = state
  state.endEmitted = true
  try {
    tell()
  } finally {
    state.endEmitted = endEmitted
  }
}

type ReadableStateConstructor = new (
  options: { highWaterMark: number; autoDestroy: boolean },
  stream: Readable,
  isDuplex: boolean,
) => ReadableState

const { ReadableState: NewReadableState } = Readable as unknown as { ReadableState: ReadableStateConstructor }

/** Makes a request unread, unended and not destroyed. Its listeners stay, and so does the source of its body. */
export function renewReadableState(req: ParsedRequest): void {
  const { highWaterMark, [BODY]: source } = req._readableState
  const fresh = new NewReadableState({ highWaterMark, autoDestroy: false }, req, false)
  fresh[BODY] = source
  req._readableState = fresh
  if (req._body === true) req._body = false
}

/** Ends a state that is about to be renewed: Node may be in the middle of its flow, with 'end' due on the next tick. */
export function stopFlow(req: ParsedRequest): Readonly<ReadableState> {
  const { _readableState: state } = req
  req.readableFlowing = false
  state.endEmitted = true
  return state
}

/** Makes the pipes of an earlier state those of the present one. */
export function adoptPipes(req: ParsedRequest, { pipes }: Readonly<ReadableState>): void {
  req._readableState.pipes = pipes
}

/** Makes a request whose body has come whole close without 'aborted'. */
export function pretendEnded(req: ParsedRequest): void {
  req._readableState.endEmitted = true
}

/** Lets `fetch`, `Response` and other clients take a request that others have read. */
export function forgetReading(req: ParsedRequest): void {
  req[STREAM_DISTURBED] = false
}

/** Lets a request be destroyed again that a stream internal has marked as destroyed. */
export function forgetDestruction(req: ParsedRequest): void {
  if (req[STREAM_DESTROYED] === true) req[STREAM_DESTROYED] = false
}

/** Puts back the socket that stream internals and HTTP clients take from a request to destroy only the stream. */
export function restoreSocket(req: ParsedRequest, socket: ServerSocket): boolean {
  const isGone = (req.socket as unknown) === null
  if (isGone) req.socket = socket
  return isGone
}

/** Makes a stream look as if no data had been asked for: the next 'data' listener lets it flow. */
export function forgetFlow(stream: Readable): void {
  ;(stream as { readableFlowing: boolean | null }).readableFlowing = null
}

interface SocketState extends Socket {
  readonly _readableState: ReadableState
  readonly _writableState: WritableState
}

/** Has a socket that cannot be written to any more be read to its end: it emits 'error', and is not destroyed. */
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
