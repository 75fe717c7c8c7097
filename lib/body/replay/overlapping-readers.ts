import type { Writable } from 'node:stream'
import type { ParsedRequest } from '../../node/internals.js'
import { dropListeners } from '../../node/streams/listeners.js'
import { addOwn, hasOwn } from '../../node/streams/own-listeners.js'
import { takePipe } from '../../node/streams/pipes.js'
import { adoptPipes, forgetReading, hasErrored, readableStateOf, sourceOf } from '../../node/streams/state.js'
import type { Listener } from './close-waiters.js'
import type { StandIn } from './stand-in.js'

/** A round that another reader may interrupt. */
export interface OverlappedRound {
  /** True while readers get bytes. */
  readonly isReadable: boolean
  /** True while its reader has paused the request and left it. */
  readonly isLeft: boolean
  /** How many readers have destroyed the request for themselves so far, at which all others were told 'close'. */
  readonly timesGivenUp: number
  /** The encoding that the reader of this round has set. */
  readonly encoding: BufferEncoding | null
  /** The destinations to which the request is piped in this round, since it last began to flow. */
  readonly destinations: readonly Writable[]
  /** Notes that the request is about to flow, with or without a listener. */
  flow(): void
  /** Notes a new listener. Returns true if the body flowed without one until then. */
  takeUp(): boolean
  /** Notes to which destinations the request is piped, as a reader has joined this round. */
  joined(): void
  /** The number of bytes that the readers of this round have taken; undefined if they cannot be counted. */
  readonly taken: number | undefined
  /** Opens a stream with which such readers go on. */
  setAside(taken: number): StandIn
  /** Ends no round before such readers have had the whole body, if code waits for the end of the request. */
  holdEndFor(rest: StandIn): void
  /** Makes the request look unread. */
  renew(): void
  readonly closeWaiters: {
    /** Called before a listener for any event is added. */
    admit(event: string | symbol, listener: Listener): void
  }
}

/**
 * Gives a reader that starts in the middle of another reader's round the body from its start.
 *
 * The earlier reader may be done without having waited for 'end', may only discard the body, or may still be reading:
 * in that case a stream of its own gives it the rest.
 */
export function admitOverlappingReaders(req: ParsedRequest, hasBegun: boolean): void {
  if (!hasOwn(req, 'resume', noteFlow)) addOwn(req, 'resume', noteFlow)
  if (hasBegun) admitReaders(req)
}

/** Makes the round notice each listener. */
export function admitReaders(req: ParsedRequest): void {
  // The watchers of a body also listen for 'newListener', and any code may remove its listeners.
  if (!hasOwn(req, 'newListener', admitReader)) addOwn(req, 'newListener', admitReader)
}

/** Returns the round of a request; undefined once the application has given it another stream state. */
function roundOf(req: ParsedRequest): OverlappedRound | undefined {
  return (sourceOf(req) as { readonly replay: OverlappedRound } | undefined)?.replay
}

/** Called before a listener is added. */
function admitReader(this: ParsedRequest, event: string | symbol, listener: Listener): void {
  const round = roundOf(this)
  if (round === undefined) return
  if (event !== 'data' && event !== 'readable') {
    round.closeWaiters.admit(event, listener)
    return
  }
  const wasDiscarded = round.takeUp()
  if (!round.isReadable) {
    // Node would not ask for bytes any more, and its own error was for those that were listening then.
    if (hasErrored(this)) startRound(this, round)
    return
  }
  if (!this.readableDidRead) round.joined()
  else if (wasDiscarded || round.isLeft || setReadersAside(this, round)) startRound(this, round)
  else round.joined()
}

/** Called when the request is about to flow. */
function noteFlow(this: ParsedRequest): void {
  const round = roundOf(this)
  if (round === undefined) return
  // An iterator, which fetch uses, reads from a stream of its own: to it the request has to look new.
  forgetReading(this)
  // This comes last: the first reader adds several listeners, none of which must be noticed.
  admitReaders(this)
  round.flow()
}

/**
 * Moves readers by 'data' or pipes to streams of their own. Returns true if there were any. A destination that is
 * lost pauses its stream, and must not stop the listeners too.
 */
function setReadersAside(req: ParsedRequest, round: OverlappedRound): boolean {
  const { taken } = round
  if (taken === undefined || req.listenerCount('data') === 0 || !canBeSetAside(req, round)) return false
  setPipesAside(req, round, taken)
  // The listeners that are left are not those of a pipe.
  setListenersAside(req, round, taken)
  return true
}

function setPipesAside(req: ParsedRequest, round: OverlappedRound, taken: number): void {
  const { pipes } = readableStateOf(req)
  const destinations = round.destinations.filter((destination) => pipes.includes(destination))
  if (destinations.length === 0) return
  const rest = round.setAside(taken)
  for (const destination of destinations) movePipe(req, rest, destination)
  passUnpipeOn(req, rest)
  round.holdEndFor(rest)
}

function setListenersAside(req: ParsedRequest, round: OverlappedRound, taken: number): void {
  const listeners = req.rawListeners('data') as Listener[]
  if (listeners.length === 0) return
  const rest = round.setAside(taken)
  for (const listener of listeners) moveListener(req, rest, listener, round)
  round.holdEndFor(rest)
}

/**
 * Moves a listener for 'data' to another stream. If a later reader gives up, all code that waits for 'close' of the
 * request is told. In Node no chunk follows that; a web stream, which closes then, throws at the next one.
 */
function moveListener(req: ParsedRequest, rest: StandIn, listener: Listener, round: OverlappedRound): void {
  const { timesGivenUp } = round
  const moved = (chunk: unknown): void => {
    try {
      listener.call(req, chunk)
    } catch (error) {
      const mayBeClosed = round.timesGivenUp !== timesGivenUp
      if (!mayBeClosed || (error as NodeJS.ErrnoException | null)?.code !== 'ERR_INVALID_STATE') throw error
      rest.off('data', moved)
    }
  }
  rest.on('data', moved)
}

/**
 * Moves a pipe to another stream. The old pipe would pause the stream with which it began, and count its destinations
 * in that stream's old state.
 */
function movePipe(req: ParsedRequest, rest: StandIn, destination: Writable): void {
  const end = takePipe(req, destination)
  if (end !== undefined) rest.pipeOn(destination, end)
}

/** Lets `req.unpipe()` reach the pipes that were moved: the end of the next round would wait for them for ever. */
function passUnpipeOn(req: ParsedRequest, rest: StandIn): void {
  const unpipe = req.unpipe.bind(req)
  req.unpipe = (destination) => {
    rest.unpipe(destination)
    return unpipe(destination)
  }
}

/**
 * Tells whether the readers of a round can go on from another stream. A listener for 'readable' cannot, as it reads the
 * request's own buffer, nor can a reader that has set an encoding, which may be in the middle of a character.
 */
function canBeSetAside(req: ParsedRequest, { encoding }: OverlappedRound): boolean {
  return req.listenerCount('readable') === 0 && encoding === null
}

/**
 * Starts a round for one more reader. A reader that waits for the end of the interrupted round gets that of the new
 * one.
 */
function startRound(req: ParsedRequest, round: OverlappedRound): void {
  const { readableEncoding } = req
  // `removeAllListeners` would end the tasks that zone.js holds in place of listeners, which go on elsewhere.
  dropListeners(req, 'data')
  dropListeners(req, 'readable')
  const cutShort = readableStateOf(req)
  round.renew()
  // `pipe()` adds its destination, and most readers set their encoding, before they listen.
  adoptPipes(req, cutShort)
  if (readableEncoding !== null) req.setEncoding(readableEncoding)
}
