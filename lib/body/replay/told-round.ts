import type { Writable } from 'node:stream'
import type { OutgoingResponse, ParsedRequest } from '../../node/internals.js'
import { destroyQuietly, detach } from '../../node/pipes.js'
import { hasConnection } from '../../node/request-facts.js'
import { destroyStreamOf, restoreDestroy } from '../../node/request-methods.js'
import { readableStateOf } from '../../node/stream-state.js'
import type { SluicewayError } from '../../shared/errors.js'

type Listener = (...args: unknown[]) => void

/** A round of reading whose body has failed. */
export interface ToldRound {
  readonly req: ParsedRequest
  readonly res: OutgoingResponse
  /** True once the request was closed for good and its 'close' was emitted. */
  readonly hasClosed: boolean
  /** Takes the listeners of the round off the request. */
  dropReaders(): void
  /** Starts the next round. */
  endRound(): void
}

/**
 * Tells the readers of a round of an error as a failing stream would: 'error', then 'close', and then the round is over.
 * Of a request that is closed already they hear no second 'close'.
 */
export function tellRound(round: ToldRound, error: SluicewayError): void {
  const { req } = round
  const { pipes } = readableStateOf(req)
  const told = req.listeners('error') as Listener[]
  const end = (): void => {
    round.dropReaders()
    req.removeAllListeners('error')
    // Of a request that the application has destroyed, Node emits that error once the connection has closed.
    if (round.hasClosed) req.on('error', ignore)
    for (const destination of pipes) failDestination(round, destination, error, told)
    round.endRound()
  }
  // Without a connection to cut, a host may destroy the response with its request, as light-my-request does.
  if (round.hasClosed || !hasConnection(req)) process.nextTick(emitError, req, error, end)
  else destroyRound(req, error, end)
}

function emitError(req: ParsedRequest, error: SluicewayError, end: () => void): void {
  // Some readers take their listener off before the error is out, as HTTP clients do.
  req.on('error', ignore)
  req.emit('error', error)
  end()
}

function destroyRound(req: ParsedRequest, error: SluicewayError, end: () => void): void {
  const onClose = (): void => {
    restoreDestroy(req)
    req.removeAllListeners('close')
    end()
  }
  // Another 'close' may come before the error is out: that of an HTTP/2 stream, or of a client that leaves now.
  req.on('error', (emitted) => {
    if (emitted === error) req.once('close', onClose)
  })
  destroyStreamOf(req, error)
}

/** A bare `pipe()` forwards no error: without this its destination would wait for ever. */
export function failDestination(
  { req, res }: Pick<ToldRound, 'req' | 'res'>,
  destination: Writable,
  error: SluicewayError,
  told: readonly Listener[],
): void {
  detach(req, destination)
  if (destination === res && !res.headersSent) return
  // http-proxy answers in one function for both streams, and would answer twice.
  for (const listener of told) destination.off('error', listener)
  destroyQuietly(destination, error)
}

/** What a stream that was destroyed does not emit any more. */
const LAST_EVENTS = ['error', 'close', 'aborted', 'finish'] as const

/**
 * Returns what tells the listeners of a round that its reader has destroyed it, as a destroyed stream does. They hear
 * nothing after it: they would pile up with each reader that gives up.
 */
export function givenUpRound(req: ParsedRequest, error: Error | undefined): () => void {
  const { pipes } = readableStateOf(req)
  const listeners = LAST_EVENTS.map((event) => [event, req.rawListeners(event) as Listener[]] as const)
  return () => {
    for (const destination of pipes) detach(req, destination)
    for (const [event, round] of listeners) {
      for (const listener of round) {
        req.off(event, listener)
        if (event === 'error' && error !== undefined) listener.call(req, error)
        if (event === 'close') listener.call(req)
      }
    }
  }
}

function ignore(): void {}
