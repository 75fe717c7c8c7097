import type { Duplex } from 'node:stream'

import createDebug from 'debug'

const debug = createDebug('sluiceway:attach')

/** Runs what Node calls itself, where an exception would end the process. It ends the one connection that it is about. */
export function endOnError(socket: Duplex, run: () => void): void {
  try {
    run()
  } catch (error) {
    cut(socket, error)
  }
}

/** Does the same for a promise that nobody waits for. */
export function endOnRejection(socket: Duplex, promise: PromiseLike<unknown>): void {
  promise.then(undefined, (error: unknown) => cut(socket, error))
}

function cut(socket: Duplex, error: unknown): void {
  debug('the connection is cut: %o', error)
  socket.destroy()
}
