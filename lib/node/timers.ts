import type nodeTimers from 'node:timers'

const own: typeof nodeTimers = process.getBuiltinModule('node:timers')

/** Node's own timers, and the time that they measure. */
interface Timers {
  setTimeout: typeof globalThis.setTimeout
  clearTimeout: typeof globalThis.clearTimeout
  setInterval: typeof globalThis.setInterval
  clearInterval: typeof globalThis.clearInterval
  setImmediate: typeof globalThis.setImmediate
  clearImmediate: typeof globalThis.clearImmediate
  nextTick: typeof process.nextTick
  queueMicrotask: typeof globalThis.queueMicrotask
  now: () => number
}

/**
 * The timers that order the events of connections and bodies, and end waits. The global ones may be others: tests
 * replace them by timers that stand still, while Node's server and client go on, and a simulated browser (jsdom) by
 * some without `unref`.
 */
export const timers: Timers = {
  setTimeout: own.setTimeout,
  clearTimeout: own.clearTimeout,
  setInterval: own.setInterval,
  clearInterval: own.clearInterval,
  setImmediate: own.setImmediate,
  clearImmediate: own.clearImmediate,
  nextTick: process.nextTick, // oxlint-disable-line typescript/unbound-method -- it does not use `this`
  queueMicrotask: globalThis.queueMicrotask,
  now: nowOf(process.getBuiltinModule('node:perf_hooks').performance),
}

function nowOf(performance: { now(): number }): () => number {
  return performance.now.bind(performance)
}
