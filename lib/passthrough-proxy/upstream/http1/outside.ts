import { AsyncResource } from 'node:async_hooks'

/**
 * It lives as long as the process, and does not keep it alive: jest's `--detectOpenHandles` and why-is-node-running
 * report every async resource that lives on without saying so.
 */
class Outside extends AsyncResource {
  hasRef(): boolean {
    return false
  }
}

const outside = new Outside('SLUICEWAY_CONNECTIONS')

/**
 * Runs `make` outside any request's async context. Connections and their timers outlive the request that creates
 * them, and would hold everything in its context.
 */
export function runOutside<Result>(make: () => Result): Result {
  return outside.runInAsyncScope(make)
}
