import type { Readable } from 'node:stream'
import type { IncomingMessage } from '../http.js'
import type { ParsedRequest } from '../internals.js'

/* Who reads a stream: Node knows its readers only as listeners. */

/**
 * Tells whether a stream has a reader: an event, a pipe or an iterator, all of which listen. A bare `resume()` is
 * none; it discards the body, as finalhandler and body-parser do before they answer.
 */
export function hasListeners(stream: Readable): boolean {
  return stream.listenerCount('data') > 0 || stream.listenerCount('readable') > 0
}

/** Tells whether code has let a stream flow without a reader: its bytes are lost, in Node too. */
export function flowsUnread(stream: Readable): boolean {
  return stream.readableFlowing === true && !hasListeners(stream)
}

/**
 * Tells whether a request gives its bytes to a reader. A loop that was left destroys the stream, and stays a listener.
 * A listener of `Readable.toWeb()` has paused it at first: if it is answered in the same turn, Node, too, discards its body.
 */
export function isBeingRead(req: ParsedRequest): boolean {
  return !req._readableState.destroyed && hasListeners(req) && (req._consuming !== false || !isHeldBack(req))
}

/**
 * Tells whether a request flows without a reader because finalhandler waits for its end before it answers: then nobody
 * reads it again. It waits through on-finished, which listens for 'finish' but not for 'close', as `finished` does.
 */
export function isDiscarded(req: IncomingMessage): boolean {
  return !hasListeners(req) && req.listenerCount('finish') > 0 && req.listenerCount('close') === 0
}

/** Tells whether a stream has only listeners that have paused it, and may never let it flow. */
export function isHeldBack(stream: Readable): boolean {
  return stream.readableFlowing === false && stream.listenerCount('readable') === 0
}

/** Leaves a stream to its other readers; if this side has paused it, it flows again. Without readers it is paused. */
export function leaveToOthers(stream: Readable, isPausedHere: boolean): void {
  if (!hasListeners(stream)) stream.pause()
  else if (isPausedHere) stream.resume()
}

/** Keeps a request readable after its response: Node removes the listeners of a request that was not read by then. */
export function keepListeners(req: ParsedRequest): void {
  req._consuming = true
}

/** Tells whether code has begun to read a request, so that Node leaves the rest to it. */
export function isBegun(req: ParsedRequest): boolean {
  return req._consuming ?? (req.readableFlowing !== null || req.readableDidRead)
}

/**
 * Removes the listeners for an event, but not `kept`. `removeAllListeners` would make the table of listeners a
 * dictionary, and all further events of the stream slower. Tracers that wrap listeners would also forget one that is
 * just being added, and not find it any more when its reader removes it. Of `off` and `removeListener`, only the second
 * is replaced by cls-hooked: during an event, `off` would remove from a list that is thrown away.
 */
export function dropListeners(stream: Readable, event: string, kept?: unknown): void {
  if (stream.listenerCount(event) === 0) return
  for (const listener of stream.rawListeners(event)) {
    if (listener !== kept) stream.removeListener(event, listener as () => void)
  }
}
