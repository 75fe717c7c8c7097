import { containWithoutCut } from '../node/contained.js'
import type { ParsedRequest } from '../node/internals.js'
import { destroyClosed } from '../node/streams/state.js'
import { timers } from '../node/timers.js'
import type { SluicewayError } from '../shared/errors.js'

/** A body over HTTP/2 that was cut, and is not kept. */
interface CutBody {
  readonly req: ParsedRequest
  readonly failure: SluicewayError | undefined
}

/**
 * Closes the request of a body over HTTP/2 that was cut. Node gives its listeners an 'end', as if the body were whole,
 * and never an error: code that waits for one of the two, and for nothing else, gets the error.
 */
export function closeCutRequest(body: CutBody): void {
  destroyClosed(body.req)
  // Loops and pipelines have had Node's own 'close' by then, which is an error for them.
  timers.setImmediate(tellListeners, body)
}

/** Emits the error if a listener waits for it. Node itself calls this, so an exception of that would end the process. */
function tellListeners(body: CutBody): void {
  const { req } = body
  if (req.listenerCount('error') > 0) containWithoutCut(req, () => req.emit('error', body.failure))
}
