import type { Duplex } from 'node:stream'

import createDebug from 'debug'

const debug = createDebug('sluiceway:attach')

/**
 * Contains an exception of a function that Node itself calls: it would end the process instead of one connection.
 */
export function endOnError(socket: Duplex, run: () => void): void {
  try {
    run()
  } catch (error) {
    cut(socket, error)
  }
}

/** Contains the rejection of a promise that nothing awaits. */
export function endOnRejection(socket: Duplex, promise: PromiseLike<unknown>): void {
  promise.then(undefined, (error: unknown) => cut(socket, error))
}

function cut(socket: Duplex, error: unknown): void {
  debug('the connection is cut: %o', error)
  socket.destroy()
}
