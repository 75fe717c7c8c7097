import type { Writable } from 'node:stream'
import { containWithoutCut } from '../../node/contained.js'
import type { OutgoingResponse, ParsedRequest } from '../../node/internals.js'
import { hasClosedStream, hasConnection, isHttp2 } from '../../node/request/facts.js'
import { destroyStreamOf, restoreDestroy } from '../../node/request/methods.js'
import { isHeadWritten } from '../../node/response/send-head.js'
import { dropListeners } from '../../node/streams/listeners.js'
import { destroyQuietly, detach } from '../../node/streams/pipes.js'
import { readableStateOf } from '../../node/streams/state.js'
import { timers } from '../../node/timers.js'
import type { SluicewayError } from '../../shared/errors.js'
import type { ReadableBody } from '../views.js'
import type { Listener } from './close-waiters.js'

/** A round whose body has failed. */
export interface FailedRound {
  readonly req: ParsedRequest
  readonly res: OutgoingResponse
  /** True once the request was closed for good and has emitted 'close'. */
  readonly hasClosed: boolean
  /** Removes the listeners of the round from the request. */
  dropReaders(): void
  /** Starts the next round. */
  endRound(): void
}

/**
 * Tells the readers of a round of an error as a failing stream would, by 'error' and then 'close', and ends the
 * round. If the request is already closed, they get no second 'close'.
 */
export function tellFailure(round: FailedRound, error: SluicewayError): void {
  const { req } = round
  const end = endOfRound(round, error)
  // Without a connection to cut, a host may destroy the response with its request, as light-my-request does.
  // Over HTTP/2, Node itself emits 'close' once a stream was closed, also by a reset without an error.
  if (round.hasClosed || !hasConnection(req) || hasClosedStream(req))
    timers.nextTick(emitError, req, error, end)
  else destroyRound(req, error, end)
}

/** Ends a round whose readers were told of its error. Those that have `begun` since belong to the next one. */
type End = (begun: Listeners) => void

/** Returns the function that ends a round with its present destinations and listeners. */
function endOfRound(round: FailedRound, error: SluicewayError): End {
  const { req } = round
  const { pipes } = readableStateOf(req)
  const hearing = req.listeners('error') as Listener[]
  const wasDestroyed = req.destroyed
  return (begun) => {
    round.dropReaders()
    const isTold = (listener: Listener): boolean => hearing.includes(listener) || isRemovedFrom(req, listener)
    for (const destination of pipes) failDestination(round, destination, error, isTold)
    dropListeners(req, 'error')
    // If the application has destroyed the request, Node emits that error a moment later, or once the connection has
    // closed.
    if (round.hasClosed || wasDestroyed) req.on('error', ignore)
    round.endRound()
    for (const [event, listener] of begun) req.on(event, listener)
  }
}

function emitError(req: ParsedRequest, error: SluicewayError, end: End): void {
  // Some readers, such as HTTP clients, remove their listener before the error is emitted.
  req.on('error', ignore)
  const told = listenersOf(req)
  const emit = (): void => void req.emit('error', error)
  // Over HTTP/2, Node emits no error on a request, so an exception of a listener must not end the process.
  if (isHttp2(req)) containWithoutCut(req, emit)
  else emit()
  end(takeBegunSince(told, req))
}

function destroyRound(req: ParsedRequest, error: SluicewayError, end: End): void {
  let told: Listeners = []
  const onClose = (): void => {
    restoreDestroy(req)
    const begun = takeBegunSince(told, req)
    dropListeners(req, 'close')
    end(begun)
  }
  // Another 'close' may come before the error: that of an HTTP/2 stream, or of a client that leaves now.
  req.prependListener('error', (emitted) => {
    if (emitted === error) told = listenersOf(req)
  })
  req.on('error', (emitted) => {
    if (emitted !== error) return
    // A reader that has begun since, and listens for 'close', is told by this one.
    if (addedSince(told, req).some(([event]) => event === 'close')) told = listenersOf(req)
    req.once('close', onClose)
  })
  destroyStreamOf(req, error)
}

type Listeners = readonly (readonly [event: string, listener: Listener])[]

/** The events to which a reader listens. The last two make the request flow. */
const EVENTS_OF_READER = ['end', 'error', 'close', 'readable', 'data'] as const

function listenersOf(req: ParsedRequest): Listeners {
  return EVENTS_OF_READER.flatMap((event) =>
    (req.rawListeners(event) as Listener[]).map((listener) => [event, listener] as const),
  )
}

/** Returns the listeners that were added to a request since it had others. */
function addedSince(before: Listeners, req: ParsedRequest): Listeners {
  const isNew = ([event, listener]: Listeners[number]): boolean =>
    !before.some((one) => one[0] === event && one[1] === listener)
  return listenersOf(req).filter(isNew)
}

/**
 * Takes the listeners of a reader that began while others were told of an error: one that reads again in its own
 * listener for 'error' or 'close'. No event of this round reaches it any more.
 */
function takeBegunSince(told: Listeners, req: ParsedRequest): Listeners {
  const begun = addedSince(told, req)
  // Code that only wants no further error to end the process reads nothing.
  if (!begun.some(([event]) => event === 'data' || event === 'readable')) return []
  for (const [event, listener] of begun) req.removeListener(event, listener)
  return begun
}

/** Fails the destination of a bare `pipe()`, which forwards no error and would make it wait for ever. */
export function failDestination(
  { req, res }: Pick<FailedRound, 'req' | 'res'>,
  destination: Writable,
  error: SluicewayError,
  isTold: (listener: Listener) => boolean,
): void {
  detach(req, destination)
  if (destination === res && !isHeadWritten(res)) return
  // http-proxy answers in one function for both streams, and would answer twice.
  const told = (destination.listeners('error') as Listener[]).filter(isTold)
  for (const listener of told) destination.off('error', listener)
  destroyQuietly(destination, error, req)
}

/**
 * Removes a listener for errors from a request, and tells whether it was there. A tracer that wraps the listeners of
 * requests still finds one that is removed, but the list of listeners has only its wrapper.
 */
function isRemovedFrom(req: ParsedRequest, listener: Listener): boolean {
  const before = req.listenerCount('error')
  req.off('error', listener)
  return req.listenerCount('error') < before
}

/**
 * Returns the error of a client that has left, for code that discards a body over HTTP/2 and waits for 'end' or 'error':
 * Node would emit 'end', as if the body were whole, or neither if the code has destroyed the request.
 */
export function cutOfStream({ req, hasClosed }: FailedRound, body: ReadableBody): SluicewayError | undefined {
  if (hasClosed || !isHttp2(req) || req.listenerCount('error') === 0) return undefined
  const { failure } = body
  return failure?.code === 'ERR_SLUICEWAY_BODY_ABORTED' ? failure : undefined
}

function ignore(): void {}
