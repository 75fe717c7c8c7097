import type { Writable } from 'node:stream'
import type { OutgoingResponse, ParsedRequest } from '../../node/internals.js'
import { hasClosedStream, hasConnection, isHttp2 } from '../../node/request/facts.js'
import { destroyStreamOf, restoreDestroy } from '../../node/request/methods.js'
import { isHeadWritten } from '../../node/response/send-head.js'
import { dropListeners } from '../../node/streams/listeners.js'
import { destroyQuietly, detach } from '../../node/streams/pipes.js'
import { readableStateOf } from '../../node/streams/state.js'
import { timers } from '../../node/timers.js'
import type { SluicewayError } from '../../shared/errors.js'
import type { Listener } from './close-waiters.js'

/** A round whose body has failed. */
export interface ToldRound {
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
export function tellRound(round: ToldRound, error: SluicewayError): void {
  const { req } = round
  const { pipes } = readableStateOf(req)
  const told = req.listeners('error') as Listener[]
  const wasDestroyed = req.destroyed
  const end = (): void => {
    round.dropReaders()
    const isTold = (listener: Listener): boolean => told.includes(listener) || isRemovedFrom(req, listener)
    for (const destination of pipes) failDestination(round, destination, error, isTold)
    dropListeners(req, 'error')
    // If the application has destroyed the request, Node emits that error a moment later, or once the connection has
    // closed.
    if (round.hasClosed || wasDestroyed) req.on('error', ignore)
    round.endRound()
  }
  // Without a connection to cut, a host may destroy the response with its request, as light-my-request does.
  // Over HTTP/2, Node itself emits 'close' once a stream was closed, also by a reset without an error.
  if (round.hasClosed || !hasConnection(req) || hasClosedStream(req))
    timers.nextTick(emitError, req, error, end)
  else destroyRound(req, error, end)
}

function emitError(req: ParsedRequest, error: SluicewayError, end: () => void): void {
  // Some readers, such as HTTP clients, remove their listener before the error is emitted.
  req.on('error', ignore)
  req.emit('error', error)
  end()
}

function destroyRound(req: ParsedRequest, error: SluicewayError, end: () => void): void {
  const onClose = (): void => {
    restoreDestroy(req)
    dropListeners(req, 'close')
    end()
  }
  // Another 'close' may come before the error: that of an HTTP/2 stream, or of a client that leaves now.
  req.on('error', (emitted) => {
    if (emitted === error) req.once('close', onClose)
  })
  destroyStreamOf(req, error)
}

/** Fails the destination of a bare `pipe()`, which forwards no error and would make it wait for ever. */
export function failDestination(
  { req, res }: Pick<ToldRound, 'req' | 'res'>,
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

/** The events that Node no longer emits once a body was read to its end; 'close' apart, see `CloseWaiters`. */
const EVENTS_BEFORE_END = ['error', 'aborted', 'finish'] as const

/**
 * Removes the listeners that readers leave behind, three for 'error' with each `pipeline`: Node warns of the eleventh.
 * Over HTTP/2, 'aborted' may still come.
 */
export function dropLeftListeners(req: ParsedRequest): void {
  for (const event of EVENTS_BEFORE_END) {
    const isOver = event !== 'aborted' || !isHttp2(req)
    if (isOver) dropListeners(req, event)
  }
}

/** A round whose reader has destroyed the request for itself. */
interface GivenUpRound {
  readonly req: ParsedRequest
  /** How many readers have given up so far. */
  timesGivenUp: number
}

/** The events that a destroyed stream does not emit any more. */
const LAST_EVENTS = ['error', 'close', 'aborted', 'finish'] as const

/**
 * Returns a function that tells the listeners of a round that its reader has destroyed it, as a destroyed stream
 * does. They are then removed: otherwise each reader that gives up would leave some behind.
 */
export function givenUpRound(round: GivenUpRound, error: Error | undefined): () => void {
  const { req } = round
  round.timesGivenUp++
  const { pipes } = readableStateOf(req)
  const listeners = LAST_EVENTS.map((event) => [event, req.rawListeners(event) as Listener[]] as const)
  return () => {
    for (const destination of pipes) detach(req, destination)
    for (const [event, told] of listeners) {
      for (const listener of told) {
        req.off(event, listener)
        if (event === 'error' && error !== undefined) listener.call(req, error)
        if (event === 'close') listener.call(req)
      }
    }
  }
}

function ignore(): void {}
