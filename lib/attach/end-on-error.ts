import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { isHttp2 } from '../node/request/facts.js'
import { cutExchange } from '../node/response/cut.js'
import { exceptionContained } from '../shared/channels.js'

/**
 * Contains an exception of a function that Node itself calls: it would end the process instead of one connection,
 * or one stream of HTTP/2.
 */
export function endOnError(socket: Duplex, run: () => void, req?: IncomingMessage): void {
  try {
    run()
  } catch (error) {
    cut(socket, error, req)
  }
}

/** Contains the rejection of a promise that nothing awaits. */
export function endOnRejection(socket: Duplex, promise: PromiseLike<unknown>, req: IncomingMessage): void {
  promise.then(undefined, (error: unknown) => cut(socket, error, req))
}

function cut(socket: Duplex, error: unknown, req: IncomingMessage | undefined): void {
  if (exceptionContained.isObserved) exceptionContained.tell({ req, error })
  if (req !== undefined && isHttp2(req)) cutExchange(req)
  else socket.destroy()
}
