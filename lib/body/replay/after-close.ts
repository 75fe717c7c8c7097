import type { ParsedRequest } from '../../node/internals.js'
import type { Listener } from './close-waiters.js'
import { admitReaders } from './overlapping-readers.js'

/**
 * Lets code begin to read a request that Node is about to close with an error. Such code is told of a failure, but a
 * listener that has heard Node's error hears no other, as in Node.
 */
export function admitAfterClose(req: ParsedRequest): void {
  const hearing = req.rawListeners('error') as Listener[]
  if (hearing.length === 0) return
  admitReaders(req)
  req.once('close', () => {
    for (const listener of hearing) req.off('error', listener)
    req.on('error', ignore)
  })
}

function ignore(): void {}
