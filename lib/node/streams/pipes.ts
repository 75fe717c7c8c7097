import type { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Readable, Writable } from 'node:stream'
import { containWithoutCut } from '../contained.js'
import type { ParsedRequest } from '../internals.js'

/**
 * Makes Node remove the listeners of a pipe from its destination and from the request. `unpipe()` would also pause
 * the request.
 */
export function detach(req: ParsedRequest, destination: Writable): void {
  destination.emit('unpipe', req, { hasUnpiped: false })
}

/**
 * Removes one pipe from a request, so that another stream can continue it. Returns the function that the pipe would have
 * called at the end of the request: it ends the destination, unless the pipe was to leave that open.
 */
export function takePipe(req: ParsedRequest, destination: Writable): (() => void) | undefined {
  const { pipes } = req._readableState
  const index = pipes.indexOf(destination)
  if (index === -1) return undefined
  const before = req.listeners('end')
  pipes.splice(index, 1)
  detach(req, destination)
  const after = new Set(req.listeners('end'))
  const onEnd = before.find((listener) => !after.has(listener))
  return () => void onEnd?.call(req)
}

/**
 * Destroys a stream with an error that needs no listener. Its owner may have none, or remove it before the error is
 * emitted, as multer 1 does with busboy; neither may end the process. Nor may a listener that fails because it has had
 * the error before, from the request `req`: tracers that wrap the listeners of both hide that they are the same.
 */
export function destroyQuietly(destination: Writable, error: Error, req: IncomingMessage): void {
  const emit = destination.emit.bind(destination) as EventEmitter['emit']
  destination.emit = (event: string | symbol, ...args: unknown[]) => {
    if (event !== 'error') return emit(event, ...args)
    if (destination.listenerCount('error') > 0) containWithoutCut(req, () => emit(event, ...args))
    return true
  }
  hearHeldStreams(destination)
  destination.destroy(error)
}

/**
 * Gives a listener for errors to the streams that a destination hands out and destroys together with itself, as busboy
 * does with the file that it is reading. Code that handles a file often listens only for its data and its end.
 */
function hearHeldStreams(destination: Writable): void {
  for (const held of Object.values(destination) as unknown[]) {
    if (isOpenStream(held) && held.listenerCount('error') === 0) held.on('error', ignore)
  }
}

/** Streams of other packages, such as streamx, do not inherit from Node's. */
function isOpenStream(value: unknown): value is Readable {
  const { pipe, destroy, listenerCount, destroyed } = (value ?? {}) as Partial<Readable>
  return [pipe, destroy, listenerCount].every((method) => typeof method === 'function') && destroyed !== true
}

/** Tells whether the bytes of `source` are piped into `target`, directly or through other streams. */
export function isPipedInto(source: Readable, target: object): boolean {
  const reached = new Set<object>([source])
  for (const stream of reached) {
    // `pipes` of old copies of Node's streams is one stream, or null.
    const { pipes } = (stream as Partial<ParsedRequest>)._readableState ?? {}
    for (const next of [pipes ?? []].flat()) reached.add(next)
  }
  return reached.has(target)
}

function ignore(): void {}
