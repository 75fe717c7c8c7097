import type { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import { findBodySource } from '../../body/source-of.js'
import { forgetPause } from '../../node/request/forget-pause.js'
import { hasListeners } from '../../node/streams/listeners.js'

/*
 * The body of a request until it is sent, beside its other readers:
 *
 *     holdBack ─▶ holdWaiting ─┬▶ takeHeld ───────▶ leaveToReaders   it is sent
 *     pauses it   reads along  ├▶ keepBack ─▶ holdBack               it may go to another target
 *                              └▶ leaveToReaders                     it is not sent
 */

/** Bytes as the readers of a request get them. */
type Chunk = Buffer | string

/** The streams that must flow again once this side leaves them. */
const paused = new WeakSet<Readable>()

/** The requests that wait for a connection. */
const held = new WeakMap<Readable, HeldBody>()

/**
 * Holds a body back until it is sent: while the request waits for a connection, its bytes would reach only the other
 * readers, such as one that counts them.
 */
export function holdBack(body: Readable): void {
  if (body.readableFlowing !== true) return
  body.pause()
  paused.add(body)
}

/**
 * Reads along with the other readers of a request that waits for a connection, as a pipe that began with it would: what
 * they take is kept for the upstream too, and the request is paused again.
 */
class HeldBody {
  readonly taken: Chunk[] = []
  private readonly req: IncomingMessage
  /** True if code has made the request flow, false if it has paused it. */
  private flow: boolean | null

  constructor(req: IncomingMessage) {
    this.req = req
    this.flow = paused.has(req) || req.readableFlowing
    req.pause().on('data', this.take)
  }

  // If the application has replaced `on`, another function may have been added in place of this one, and stays.
  private readonly take = (chunk: Chunk): void => {
    if (held.get(this.req) !== this) return
    this.taken.push(chunk)
    this.flow = true
    this.req.pause()
  }

  end(): void {
    const { req, flow } = this
    held.delete(req)
    req.off('data', this.take)
    if (flow === null && !hasListeners(req)) forgetPause(req)
    else if (flow !== false) paused.add(req)
  }
}

/** Holds the body of a request back while it waits for a connection. A kept body is whole for each of its readers. */
export function holdWaiting(req: IncomingMessage): void {
  if (findBodySource(req)?.store === undefined) held.set(req, new HeldBody(req))
}

/**
 * Ends the hold, as the body is about to be sent. Returns what other readers have taken in the meantime; undefined if
 * the body was not held. A kept body begins at its start.
 */
export function takeHeld(body: IncomingMessage): readonly Chunk[] | undefined {
  findBodySource(body)?.replay?.beginAtStart()
  const hold = held.get(body)
  hold?.end()
  return hold?.taken
}

/** Ends the hold of a request that may be sent to another target. It stays paused, as it was when it came. */
export function keepBack(req: IncomingMessage): void {
  held.get(req)?.end()
}

/** Leaves the body of a request that is not sent, or not any more, to its other readers, present and later ones. */
export function leaveToReaders(req: IncomingMessage): void {
  held.get(req)?.end()
  if (paused.delete(req) && hasListeners(req)) req.resume()
}
