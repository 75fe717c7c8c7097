import type { EventEmitter } from 'node:events'

type Listener = (...args: unknown[]) => void

const ADDING = ['addListener', 'on', 'once', 'prependListener', 'prependOnceListener'] as const
const REMOVING = ['off', 'removeListener'] as const

/**
 * Wraps all listeners that are added to an emitter from now on, as OpenTelemetry and Elastic's agent do with each
 * request and response: its lists then have other functions than those that were added. Only the methods that remove
 * a listener find it.
 */
export function wrapListeners(emitter: EventEmitter): void {
  let wrappers = new Map<string | symbol, WeakMap<Listener, Listener>>()
  let isAdding = false
  for (const name of ADDING) {
    const add = emitter[name].bind(emitter)
    emitter[name] = (event: string | symbol, listener: Listener) => {
      if (isAdding) return add(event, listener) // `once` calls `on`
      const wrapper: Listener = (...args) => Reflect.apply(listener, emitter, args)
      if (!wrappers.has(event)) wrappers.set(event, new WeakMap())
      wrappers.get(event)!.set(listener, wrapper)
      isAdding = true
      try {
        return add(event, wrapper)
      } finally {
        isAdding = false
      }
    }
  }
  for (const name of REMOVING) {
    const remove = emitter[name].bind(emitter)
    emitter[name] = (event: string | symbol, listener: Listener) =>
      remove(event, wrappers.get(event)?.get(listener) ?? listener)
  }
  const removeAll = emitter.removeAllListeners.bind(emitter)
  emitter.removeAllListeners = (...args: [event?: string | symbol]) => {
    if (args.length === 0) wrappers = new Map()
    else wrappers.delete(args[0]!)
    return removeAll(...args)
  }
}

type Events = Record<string, Listener | Listener[] | undefined>

/**
 * Replaces the lists of an emitter by others during each event, as cls-hooked does with each request that is bound: a
 * listener that is added or removed meanwhile is so in the list that is thrown away, unless `removeListener` removes it.
 */
export function replaceListsDuringEvents(emitter: EventEmitter): void {
  const lists = emitter as EventEmitter & { _events: Events }
  const emit = emitter.emit.bind(emitter)
  const wrapped = (own: Events[string]): Events[string] =>
    Array.isArray(own) ? own.map((one) => one.bind(emitter)) : own?.bind(emitter)
  emitter.emit = (event: string, ...args: unknown[]) => {
    let own = lists._events[event]
    if (own === undefined) return emit(event, ...args)
    const before = emitter.removeListener.bind(emitter)
    emitter.removeListener = (name: string, listener: Listener) => {
      lists._events[event] = own
      before(name, listener)
      own = lists._events[event]
      lists._events[event] = wrapped(own)
      return emitter
    }
    lists._events[event] = wrapped(own)
    try {
      return emit(event, ...args)
    } finally {
      Reflect.deleteProperty(emitter, 'removeListener')
      lists._events[event] = own
    }
  }
}
