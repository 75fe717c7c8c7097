import type { IncomingMessage, ServerResponse } from '../http.js'
import { CONTINUE } from '../keys.js'

/** A request whose client waits for `100 Continue`, with its response. */
export interface ExpectingRequest extends IncomingMessage {
  [CONTINUE]?: ServerResponse | undefined
}

/** Tells whether the client of `req` waits for a `100 Continue`. */
export function awaitsContinue(req: IncomingMessage): boolean {
  return (req as ExpectingRequest)[CONTINUE] !== undefined
}
