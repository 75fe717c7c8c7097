import type { Readable } from 'node:stream'

/** A listener as it is called. */
type Listener = (...args: unknown[]) => void

/** A listener with parameters of any kind. */
type Own = (...args: never[]) => void

/** The functions that streams hold in place of listeners of ours. */
const wrappers = new WeakMap<Readable, Map<Own, Own>>()

/**
 * Adds a listener that has to be found again. Tracers such as OpenTelemetry and Elastic APM give a request methods that
 * wrap each listener in a function, which restores its context; zone.js does so for every emitter.
 */
export function addOwn(stream: Readable, event: string, listener: Own, isFirst = false): void {
  if (isFirst) stream.prependListener(event, listener as Listener)
  else stream.on(event, listener as Listener)
  if (stream.listenerCount(event, listener) === 0) noteWrapper(stream, event, listener, isFirst)
}

function noteWrapper(stream: Readable, event: string, listener: Own, isFirst: boolean): void {
  const wrapper = stream.rawListeners(event).at(isFirst ? 0 : -1) as Own | undefined
  if (wrapper === undefined) return
  const known = wrappers.get(stream) ?? new Map<Own, Own>()
  wrappers.set(stream, known.set(listener, wrapper))
}

/** Returns the function that a stream holds for a listener that was added by `addOwn`. */
export function heldFor(stream: Readable, listener: Own): Own {
  return wrappers.get(stream)?.get(listener) ?? listener
}

/** Tells whether a listener that was added by `addOwn` is still there: any code may remove all listeners. */
export function hasOwn(stream: Readable, event: string, listener: Own): boolean {
  return stream.listenerCount(event, heldFor(stream, listener)) > 0
}

/** Returns all listeners for an event except one that was added by `addOwn`. */
export function listenersExcept(stream: Readable, event: string, own: Own): Listener[] {
  const held = heldFor(stream, own)
  return (stream.rawListeners(event) as Listener[]).filter((listener) => listener !== held)
}
