import type { Writable } from 'node:stream'
import type { ParsedRequest } from '../../node/internals.js'
import { takePipe } from '../../node/pipes.js'
import { adoptPipes, forgetReading, hasListeners, sourceOf, stopFlow } from '../../node/stream-state.js'
import type { StandIn } from './stand-in.js'

/** The round in the middle of which another reader may begin. */
export interface OverlappedRound {
  /** True while readers get bytes. */
  readonly isReadable: boolean
  /** The encoding that the reader of this round has set. */
  readonly encoding: BufferEncoding | null
  /** What the request is piped to in this round, since it last began to flow. */
  readonly destinations: readonly Writable[]
  /** Notes that the request is about to flow, with or without a listener. */
  flow(): void
  /** Notes a new listener, and returns true where the body flowed without one until then. */
  takeUp(): boolean
  /** Opens the stream that goes on for the readers of this round; they wait for the end of the next. */
  setAside(): StandIn
  /** Makes the request look unread. */
  renew(): void
  /** Hears of a listener for any event, before it is added. */
  admit(event: string | symbol): void
}

/**
 * Gives a reader that starts in the middle of another's round the body from its start.
 *
 * The other may be done without having waited for 'end', may only throw the body away, or may be reading still: then
 * a stream of its own gives it the rest.
 */
export function admitOverlappingReaders(req: ParsedRequest): void {
  req.on('resume', noteFlow)
}

/** Has the round hear of each listener. */
export function admitReaders(req: ParsedRequest): void {
  // What watches the body listens for new listeners, too.
  if (!req.listeners('newListener').includes(admitReader)) req.on('newListener', admitReader)
}

function roundOf(req: ParsedRequest): OverlappedRound {
  return (sourceOf(req) as { readonly replay: OverlappedRound }).replay
}

/** Called before a listener is added. */
function admitReader(this: ParsedRequest, event: string | symbol): void {
  const round = roundOf(this)
  if (event !== 'data' && event !== 'readable') {
    round.admit(event)
    return
  }
  const wasDiscarded = round.takeUp()
  if (!round.isReadable || !this.readableDidRead) return
  // Without a listener `unpipe()` has left it paused.
  const isAbandoned = wasDiscarded || (this.isPaused() && !hasListeners(this))
  if (isAbandoned || setReadersAside(this, round)) startRound(this, round)
}

/** Called when the request is about to flow. */
function noteFlow(this: ParsedRequest): void {
  // An iterator, as fetch uses it, reads from a stream of its own: for it the request is as new.
  forgetReading(this)
  // Not before: the first reader adds a handful, each of which would be told of.
  admitReaders(this)
  roundOf(this).flow()
}

/** Serves the readers by 'data' or by a pipe from another stream, and returns true where there were any. */
function setReadersAside(req: ParsedRequest, round: OverlappedRound): boolean {
  const listeners = req.rawListeners('data')
  if (listeners.length === 0 || !canBeSetAside(req, round)) return false
  const rest = round.setAside()
  for (const destination of round.destinations) movePipe(req, rest, destination)
  for (const listener of req.rawListeners('data')) rest.on('data', listener.bind(req))
  return true
}

/**
 * Lets a stream go on with a pipe. A pipe pauses the stream that it began with, and counts its destinations in the
 * state that this had then: it could neither hold up the other stream nor count there.
 */
function movePipe(req: ParsedRequest, rest: StandIn, destination: Writable): void {
  const options = takePipe(req, destination)
  if (options !== undefined) rest.pipeOn(destination, options)
}

/** A listener for 'readable' reads the request's own buffer, and a reader that has set an encoding may be within a character. */
function canBeSetAside(req: ParsedRequest, { encoding }: OverlappedRound): boolean {
  const isCountedInBytes = req.readableEncoding === null || req.readableLength === 0
  return req.listenerCount('readable') === 0 && encoding === null && isCountedInBytes
}

/** Starts a round for one more reader. A reader that waits for the end of the one that is cut short gets that of the new one. */
function startRound(req: ParsedRequest, round: OverlappedRound): void {
  const { readableEncoding } = req
  req.removeAllListeners('data')
  req.removeAllListeners('readable')
  const cutShort = stopFlow(req)
  round.renew()
  // `pipe()` adds its destination, and most readers set their encoding, before they listen.
  adoptPipes(req, cutShort)
  if (readableEncoding !== null) req.setEncoding(readableEncoding)
}
