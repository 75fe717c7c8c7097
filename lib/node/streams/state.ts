import type { Socket } from 'node:net'
import { type Duplex, Readable } from 'node:stream'
import { NO_SOCKET } from '../connection/no-socket.js'
import { IncomingMessage } from '../http.js'
import {
  type ParsedRequest,
  type ReadableState,
  type ServerSocket,
  STREAM_DESTROYED,
  STREAM_DISTURBED,
  type WritableState,
} from '../internals.js'
import { BODY } from '../keys.js'
import { timers } from '../timers.js'

/* Reads and writes the state of a stream. */

export function readableStateOf(stream: ParsedRequest): Readonly<ReadableState> {
  return stream._readableState
}

/** Tells whether a stream has emitted 'close': no error comes after it. `closed` is true before the last error. */
export function hasEmittedClose(stream: Readable): boolean {
  return readableStateOf(stream as ParsedRequest).closeEmitted
}

/** Tells whether a stream has emitted 'end'. Those of readable-stream have no `readableEnded` before its version 4. */
export function hasEmittedEnd(stream: Readable): boolean {
  const { _readableState: state } = stream as Partial<ParsedRequest>
  return stream.readableEnded || state?.endEmitted === true
}

/**
 * Returns the body source of a request; undefined if no middleware has asked for one. Its class is in a higher layer,
 * so the caller states which members it needs.
 */
export function sourceOf(req: IncomingMessage): object | undefined {
  return (req as ParsedRequest)._readableState[BODY]
}

/** Makes `source` the one body source of its request. */
export function setSource(req: ParsedRequest, source: object): void {
  req._readableState[BODY] = source
}

/** Makes the connection of a request flow with Node's own `_read`, even if it was replaced. */
export function letFlow(req: IncomingMessage, size = 0): void {
  IncomingMessage.prototype._read.call(req, size)
}

/** Keeps a request from being destroyed at the end of its body, so that it can be read again. */
export function outliveEnd(req: ParsedRequest): void {
  req._readableState.autoDestroy = false
}

/** Tells whether Node has destroyed a request with an error, which it emits once. */
export function hasErrored(req: ParsedRequest): boolean {
  return req._readableState.errored !== null
}

/** Tells whether a request was read to its end. Some mocks are no streams. */
export function hasEnded(req: IncomingMessage): boolean {
  return (req as Partial<ParsedRequest>)._readableState?.endEmitted === true
}

/**
 * Tells whether Node is about to close a request that its host has just read: two ticks after 'end', Node marks the
 * state that it then finds, and emits 'close', at which new readers would fail.
 */
export function isCloseDue(req: IncomingMessage): boolean {
  const { destroyed, endEmitted, closeEmitted } = (req as ParsedRequest)._readableState
  return destroyed && endEmitted && !closeEmitted
}

/** Makes a request look ended to code that waits for its end, while `tell` runs. */
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

/**
 * Makes `readableAborted` of a request that was cut before its body was read stay true. Its state is renewed for later
 * readers; without this, Node would forget the cut, and pino-http would log an upload whose client has left as
 * completed.
 */
export function rememberAbort(req: ParsedRequest): void {
  Object.defineProperty(req, 'readableAborted', { value: true, configurable: true })
}

type ReadableStateConstructor = new (
  options: { highWaterMark: number; autoDestroy: boolean; emitClose: boolean },
  stream: Readable,
  isDuplex: boolean,
) => ReadableState

const { ReadableState: NewReadableState } = Readable as unknown as { ReadableState: ReadableStateConstructor }

/**
 * Makes a request unread, unended and not destroyed, even if its host has marked it as finished. It keeps its
 * listeners and the source of its body.
 */
export function renewReadableState(req: ParsedRequest): void {
  // Node may be in the middle of its flow, which goes on for as long as the old state flows, and would take the bytes of
  // the new one; and 'end' may be due in the next tick.
  req.readableFlowing = false
  req._readableState.endEmitted = true
  replaceState(req, true)
  if (req._body === true) req._body = false
}

/**
 * Makes a request unread if Node has ended it before any code saw it, as it does with `optimizeEmptyRequests`: it would
 * never emit 'end'. Returns true if it is unread now.
 */
export function takeBackEarlyEnd(req: IncomingMessage): boolean {
  const { _dumped: isDumped, complete } = req as ParsedRequest
  if (isDumped !== true) return false
  renewReadableState(req as ParsedRequest)
  // Otherwise the parser is about to end it.
  if (complete) (req as ParsedRequest).push(null)
  return true
}

/** Gives a request a new state, which keeps the source of its body. */
function replaceState(req: ParsedRequest, emitClose: boolean): void {
  const { highWaterMark, [BODY]: source } = req._readableState
  req._readableState = new NewReadableState({ highWaterMark, autoDestroy: false, emitClose }, req, false)
  req._readableState[BODY] = source
}

/** Takes what a request has buffered without telling its listeners. */
export function takeBuffer(req: ParsedRequest): Buffer {
  const listeners = req.rawListeners('data') as (() => void)[]
  for (const listener of listeners) req.off('data', listener)
  const bytes = req.read(req._readableState.length) as Buffer
  for (const listener of listeners) req.on('data', listener)
  return bytes
}

/** Tells whether a request is as new as `renewReadableState` leaves it: it holds nothing, and no code has read it. */
export function looksNew(req: ParsedRequest): boolean {
  const { length, ended, flowing, encoding, destroyed, pipes } = req._readableState
  return length === 0 && !ended && flowing === null && encoding === null && !destroyed && pipes.length === 0
}

/**
 * Moves the pipes of an earlier state to the present one. They keep looking into the earlier one: if a later pipe were
 * listed there too, Node would look for a set of slow destinations that only the present state has, and throw.
 */
export function adoptPipes(req: ParsedRequest, { pipes }: Readonly<ReadableState>): void {
  req._readableState.pipes = pipes.slice()
}

/** Makes a request unread, but lets it flow as it did, for listeners and pipes that were there before. */
export function keepFlow(req: ParsedRequest, renew: () => void): void {
  const { _readableState: before } = req
  const isFlowing = before.flowing === true
  renew()
  adoptPipes(req, before)
  if (isFlowing) req.resume()
}

/** Makes a request whose body is complete close without 'aborted'. */
export function pretendEnded(req: ParsedRequest): void {
  req._readableState.endEmitted = true
}

/** Makes a request look as if no data had been read: its next reader goes on with what is in its buffer. */
export function forgetData(req: ParsedRequest): void {
  req._readableState.dataEmitted = false
}

/** Makes a request look undisturbed, so that `fetch`, `Response` and other clients accept it after other readers. */
export function forgetReading(req: ParsedRequest): void {
  req[STREAM_DISTURBED] = false
}

/** Makes a request that stream internals have marked as destroyed destroyable again. */
export function forgetDestruction(req: ParsedRequest): void {
  if (req[STREAM_DESTROYED] === true) req[STREAM_DESTROYED] = false
}

/** Puts back the socket that stream internals and HTTP clients take from a request to destroy only the stream. */
export function restoreSocket(req: ParsedRequest, socket: ServerSocket): boolean {
  const isGone = (req.socket as unknown) === null && socket !== NO_SOCKET
  if (isGone) req.socket = socket
  return isGone
}

/**
 * Destroys a request over HTTP/2 that was cut, and whose 'close' Node emits itself. Node would go on to read it, which
 * ends the process if it has closed, and a late reader would wait for ever.
 */
export function destroyClosed(req: ParsedRequest): void {
  replaceState(req, false)
  req.destroy()
}

/** Makes a stream look as if no data had been asked for: the next 'data' listener makes it flow. */
export function forgetFlow(stream: Readable): void {
  ;(stream as { readableFlowing: boolean | null }).readableFlowing = null
}

/** Lets either side of a connection end first: otherwise Node answers the end of one half by ending the other. */
export function keepHalfOpen(connection: Duplex): void {
  connection.allowHalfOpen = true
}

/**
 * Takes back the 'end' that a connection is emitting: it is emitted again to the next reader, which may first get
 * bytes that are put back. This time Node does not end the other half.
 */
export function takeBackEnd(connection: Duplex): void {
  ;(connection as Duplex & SocketState)._readableState.endEmitted = false
  if (connection.allowHalfOpen) return
  keepHalfOpen(connection)
  timers.nextTick(() => {
    connection.allowHalfOpen = false
  })
}

interface SocketState extends Socket {
  readonly _readableState: ReadableState
  readonly _writableState: WritableState
}

/** Keeps a socket that cannot be written to any more readable to its end: it emits 'error', and is not destroyed. */
export function outliveWriting(socket: Socket): void {
  setAutoDestroy(socket, false)
}

/** Makes a socket close by itself again: once both halves have ended, or after an error. */
export function closeWithHalves(socket: Socket): void {
  setAutoDestroy(socket, true)
}

function setAutoDestroy(socket: Socket, isAutomatic: boolean): void {
  const { _readableState, _writableState } = socket as SocketState
  _readableState.autoDestroy = isAutomatic
  _writableState.autoDestroy = isAutomatic
}

/** Makes a socket emit 'end' after an error of writing. */
export function forgetWriteError(socket: Socket): void {
  const { _readableState } = socket as SocketState
  _readableState.errored = null
}
