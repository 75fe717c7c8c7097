import type { ParsedRequest } from '../../node/internals.js'
import { isHttp2 } from '../../node/request/facts.js'
import { dropListeners } from '../../node/streams/listeners.js'
import { detach } from '../../node/streams/pipes.js'
import { readableStateOf } from '../../node/streams/state.js'
import type { Listener } from './close-waiters.js'

/* What readers leave behind on a request that is read again. */

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
