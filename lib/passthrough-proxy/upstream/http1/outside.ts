import { AsyncResource } from 'node:async_hooks'

const outside = new AsyncResource('SLUICEWAY_CONNECTIONS')

/**
 * Runs `make` outside any request's async context. Connections and their timers outlive the request that creates
 * them, and would hold everything in its context.
 */
export function runOutside<Result>(make: () => Result): Result {
  return outside.runInAsyncScope(make)
}
