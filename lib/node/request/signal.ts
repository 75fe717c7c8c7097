import { IncomingMessage } from '../http.js'
import { DETACH_SIGNAL } from '../internals.js'
import { hasConnection, isHttp2 } from './facts.js'

/* `req.signal`, from Node 24.16 on, which is aborted if the client leaves before its answer. */

/**
 * Makes Node abort the signal of a request that it is about to destroy, also for code that asks for it only later. By
 * then the state from which Node would tell is that of a next reader, who may begin.
 */
export function createSignal(req: IncomingMessage): void {
  if (hasConnection(req) && !isHttp2(req)) Reflect.get(IncomingMessage.prototype, 'signal', req)
}

/** Keeps the signal of a request that was answered from being aborted with its connection, as Node's server does. */
export function detachSignal(req: IncomingMessage): void {
  if (DETACH_SIGNAL !== undefined) (req as WithSignal)[DETACH_SIGNAL]?.()
}

type WithSignal = IncomingMessage & Record<symbol, () => void>
