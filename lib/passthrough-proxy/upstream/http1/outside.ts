import { AsyncResource } from 'node:async_hooks'

const outside = new AsyncResource('SLUICEWAY_CONNECTIONS')

/**
 * Runs something in no request's context. Connections and their timers outlive the request that makes them; they would
 * hold all that belongs to its context.
 */
export function runOutside<Result>(make: () => Result): Result {
  return outside.runInAsyncScope(make)
}
