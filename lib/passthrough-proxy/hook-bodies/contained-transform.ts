import { Transform, type Readable } from 'node:stream'
import { isError } from '../../shared/is-error.js'
import { isPromise } from '../../shared/promises.js'

/** The methods by which a stream of Node is implemented. */
const implementing = ['_transform', '_flush', '_read', '_write', '_writev', '_final'] as const

const ofNode = Transform.prototype as unknown as Record<string, unknown>

type Method = (this: unknown, ...args: unknown[]) => unknown

/**
 * Makes an exception of a transform destroy that stream. Node calls these methods from events, where an exception
 * would end the process, and drops the promise of a method that is `async`: its rejection would end the process too.
 */
export function containTransform(stream: Readable): void {
  const methods = stream as unknown as Record<string, unknown>
  for (const name of implementing) {
    const method = methods[name]
    const isOwn = name === '_transform' || method !== ofNode[name]
    if (isOwn && typeof method === 'function') methods[name] = contained(stream, method as Method)
  }
}

function contained(stream: Readable, method: Method): Method {
  return function withoutThrowing(this: unknown, ...args) {
    try {
      const result = method.apply(this, args)
      if (isPromise(result)) result.then(undefined, (error: unknown) => stream.destroy(asError(error)))
      return result
    } catch (error) {
      stream.destroy(asError(error))
      return undefined
    }
  }
}

/** Calls `listener` when the end is pushed into a stream; its readers may get it much later. */
export function onLastPush(stream: Readable, listener: () => void): void {
  const methods = stream as unknown as Record<'push', Method>
  const { push } = methods
  methods.push = function watchingForTheEnd(this: unknown, ...args) {
    if (args[0] === null) listener()
    return push.apply(this, args)
  }
}

/** Returns an error for any value that was thrown. */
export function asError(thrown: unknown): Error {
  return isError(thrown) ? thrown : new Error('a value was thrown that is not an error', { cause: thrown })
}
