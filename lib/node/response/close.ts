import type { ServerResponse } from 'node:http'
import type { ServerHttp2Stream } from 'node:http2'
import { type ConnectionWatcher, unwatchConnection, watchConnection } from '../connection/watchers.js'
import { STREAM_IDLE } from '../http2-codes.js'
import type { ClosableResponse } from '../internals.js'
import { isHttp2, isStreamRead, streamOf } from '../request/facts.js'
import { timers } from '../timers.js'

type CloseListener = (this: ServerResponse) => void

/**
 * Calls `listener` when a response is over: sent completely, or its client gone. If it is already over, in the next
 * tick.
 *
 * Up to Node 22 the end of a connection closes only the response whose turn it is. Later responses, for a client that
 * sends its requests without waiting for answers, would never be closed; this closes them. Over HTTP/2, Node does not
 * tell the response to HEAD that its client has left, and up to Node 24 no response whose client resets the stream
 * without an error and does not read.
 */
export function onResponseClose(res: ServerResponse, listener: CloseListener): void {
  if (isClosed(res)) timers.nextTick(callListener, res, listener)
  else {
    leaveRoom(res)
    // `on` may be replaced: @polka/compression moves all listeners to its own stream, which a lost connection does not close.
    res.addListener('close', listener)
    if (isHttp2(res)) watchStream(res, listener)
    else if (res.socket === null) closeWithConnection(res)
  }
}

/** Lets an application have as many listeners on a response as without ours, before Node warns of a leak. */
function leaveRoom(res: ServerResponse): void {
  const max = res.getMaxListeners()
  // 0 means any number.
  if (max > 0) res.setMaxListeners(max + 1)
}

/** Tells whether a response is over, either sent completely or cut off because its client has gone. */
export function isClosed(res: ServerResponse): boolean {
  if (!isHttp2(res)) return res.closed
  const { destroyed, aborted } = streamOf(res)
  return destroyed || aborted
}

/**
 * Tells whether the application has ended a response. Over HTTP/2 it may do so through the stream, which Node itself
 * ends if the client leaves before.
 */
export function isAnswered(res: ServerResponse): boolean {
  if (res.writableEnded || !isHttp2(res)) return res.writableEnded
  const { writableEnded, aborted } = streamOf(res)
  return writableEnded && !aborted
}

/** The listeners that are called even if Node does not emit 'close'. */
const closeListeners = new WeakSet<Function>()

const watchedStreams = new WeakSet<ServerHttp2Stream>()

function watchStream(res: ServerResponse, listener: CloseListener): void {
  closeListeners.add(listener)
  const stream = streamOf(res)
  if (watchedStreams.has(stream)) return
  watchedStreams.add(stream)
  // Only the response to HEAD still has listeners then, without `res.end()`.
  stream.on('close', () => !res.writableEnded && closeForUs(res))
  // A stream with an unread body stays open. Node closes any other in this turn.
  stream.on('aborted', () => void timers.setImmediate(closeForUs, res))
  stream.on('end', destroyIfReset)
  if (stream.readableEnded) destroyIfReset.call(stream)
}

/** Calls our 'close' listeners once: Node may emit 'close' later, with a late `res.end()`. */
function closeForUs(res: ServerResponse): void {
  for (const listener of res.listeners('close')) {
    if (!closeListeners.has(listener)) continue
    res.off('close', listener as CloseListener)
    listener.call(res)
  }
}

/**
 * Destroys a stream that its client has reset, once its body was read. Up to Node 24, Node waits for the end of a write
 * that can never end. A stream that the application has closed still sends its response.
 */
function destroyIfReset(this: ServerHttp2Stream): void {
  if (!this.closed) return
  // nghttp2 forgets a stream only after it has reported its end.
  timers.setImmediate(() => {
    if (this.state.state === STREAM_IDLE && !this.writableFinished) this.destroy()
  })
}

/**
 * Destroys a stream that its client has reset without an error, if its request has stopped reading: Node waits until all
 * of it was read, and holds the session until then, also of a client that has left.
 */
export function destroyIfLeft(res: ServerResponse): void {
  const stream = streamOf(res)
  if (!stream.aborted || isStreamRead(stream)) return
  // A stream that the application has closed may still send its response: nghttp2 has not forgotten it.
  timers.setImmediate(() => {
    if (!stream.destroyed && stream.state.state === STREAM_IDLE) stream.destroy()
  })
}

function callListener(res: ServerResponse, listener: CloseListener): void {
  listener.call(res)
}

/** Closes a response without a socket as soon as the connection of its request closes. */
function closeWithConnection(res: ServerResponse): void {
  const { socket } = res.req as Partial<ServerResponse['req']>
  // Some hosts have none.
  if (!socket) return
  if (socket.destroyed) {
    timers.nextTick(close, res)
    return
  }
  const queued: ConnectionWatcher = { connectionClosed: () => close(res) }
  watchConnection(socket, queued)
  // From its turn on, Node closes it.
  res.prependOnceListener('socket', () => unwatchConnection(socket, queued))
}

/**
 * Closes a response whose connection belongs to other code from now on, and may stay open for hours. It is held only
 * if something listens to it: with it, the request and both heads would be held.
 */
export function closeWithGivenConnection(res: ServerResponse): void {
  const { socket } = res.req
  if (socket.destroyed) timers.nextTick(close, res)
  else watchConnection(socket, watcherOf(res))
}

/**
 * Returns a watcher that closes a response with its connection. It holds the response only while that has a listener
 * for 'close'. Only `held` leads to it: a variable for it would be kept for both functions.
 */
function watcherOf(res: ServerResponse): ConnectionWatcher {
  const held = { strongly: res.listenerCount('close') > 0 ? res : undefined, weakly: new WeakRef(res) }
  res.on('newListener', hold)
  return {
    connectionClosed() {
      const response = held.strongly ?? held.weakly.deref()
      if (response !== undefined) close(response.off('newListener', hold))
    },
  }

  function hold(this: ServerResponse): void {
    held.strongly = this
  }
}

/** Closes a response as Node closes the one whose turn it is. */
function close(res: ServerResponse): void {
  if (res.closed) return
  const closing = res.destroy() as ClosableResponse
  closing._closed = true
  closing.emit('close')
}
