import type { Writable } from 'node:stream'
import type { BodyStream } from '../kept/stream.js'
import { type ParsedRequest, STREAM_DISTURBED } from '../../node/internals.js'
import { isRead } from '../../node/has-listeners.js'
import type { RequestReplay } from './rounds.js'
import { findBodySource } from '../sourced-request.js'

/**
 * Gives a reader who starts in the middle of another's round the body from its start.
 *
 * The other may be done without having waited for 'end', may only throw the body away, or may be reading still: then
 * he gets the rest from a stream apart.
 */
export function admitLateReaders(req: ParsedRequest): void {
  req.on('resume', noteFlow)
}

/** Called before a listener is added. */
function admitReader(this: ParsedRequest, event: string | symbol): void {
  if (event !== 'data' && event !== 'readable') return
  const { isReadable, replay } = findBodySource(this)!
  const { isDiscarding } = replay!
  replay!.isDiscarding = false
  if (!isReadable || !this.readableDidRead) return
  // Without a listener `unpipe()` has left it paused.
  const isAbandoned = isDiscarding || (this.isPaused() && !isRead(this))
  if (isAbandoned || setReadersAside(this, replay!)) startRound(this, replay!)
}

/** Called when the request is about to flow. Without a listener for what flows it is thrown away. */
function noteFlow(this: ParsedRequest): void {
  // Whoever iterates, as fetch does, reads apart: to him the request is as new.
  this[STREAM_DISTURBED] = false
  // Not before: the first reader adds a handful, each of which would be told of.
  if (this.listenerCount('newListener') === 0) this.on('newListener', admitReader)
  const replay = findBodySource(this)!.replay!
  if (this.listenerCount('data') === 0) replay.isDiscarding = true
  else replay.encoding = this.readableEncoding
  replay.destinations = this._readableState.pipes.slice()
}

/** Serves who reads by 'data' or a pipe from a stream apart, and returns true where there was somebody to serve. */
function setReadersAside(req: ParsedRequest, replay: RequestReplay): boolean {
  const listeners = req.rawListeners('data')
  if (listeners.length === 0 || !canBeSetAside(req, replay)) return false
  const rest = replay.source.stream({ isRequest: true })
  rest.position = replay.position - req.readableLength
  for (const destination of replay.destinations) movePipe(req, rest, destination)
  for (const listener of req.rawListeners('data')) rest.on('data', listener.bind(req))
  replay.isAwaited = true
  return true
}

/**
 * Lets a stream go on with a pipe. A pipe pauses the stream that it began with, and counts its destinations in the
 * state that this had then: it could neither hold up the other stream nor count there.
 */
function movePipe(req: ParsedRequest, rest: BodyStream, destination: Writable): void {
  const { pipes } = req._readableState
  const index = pipes.indexOf(destination)
  if (index === -1) return
  const before = req.listeners('end')
  pipes.splice(index, 1)
  // Not by `unpipe()`, which would pause the request. Node takes the listeners of the pipe off here.
  destination.emit('unpipe', req, { hasUnpiped: false })
  const after = new Set(req.listeners('end'))
  const onEnd = before.find((listener) => !after.has(listener))
  // Node's name for the listener of a pipe that does not end its destination.
  rest.pipeOn(destination, { end: onEnd?.name !== 'unpipe' })
}

/** Who listens for 'readable' reads the request's own buffer, and who has set an encoding may be within a character. */
function canBeSetAside(req: ParsedRequest, { encoding }: RequestReplay): boolean {
  const isCountedInBytes = req.readableEncoding === null || req.readableLength === 0
  return req.listenerCount('readable') === 0 && encoding === null && isCountedInBytes
}

/** Starts a round for one more reader. Who waits for the end of the one that is cut short gets that of the new one. */
function startRound(req: ParsedRequest, replay: RequestReplay): void {
  const { _readableState: cutShort, readableEncoding } = req
  req.removeAllListeners('data')
  req.removeAllListeners('readable')
  // Node may be in the middle of its flow, with its 'end' due on the next tick.
  cutShort.flowing = false
  cutShort.endEmitted = true
  replay.renew()
  // `pipe()` adds its destination, and most readers set their encoding, before they listen.
  req._readableState.pipes = cutShort.pipes
  if (readableEncoding !== null) req.setEncoding(readableEncoding)
}
