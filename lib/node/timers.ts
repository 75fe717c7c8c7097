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
  setTimeout: original('setTimeout', own.setTimeout),
  clearTimeout: original('clearTimeout', own.clearTimeout),
  setInterval: original('setInterval', own.setInterval),
  clearInterval: original('clearInterval', own.clearInterval),
  setImmediate: original('setImmediate', own.setImmediate),
  clearImmediate: original('clearImmediate', own.clearImmediate),
  nextTick: original('nextTick', process.nextTick), // oxlint-disable-line typescript/unbound-method -- it does not use `this`
  queueMicrotask: original('queueMicrotask', globalThis.queueMicrotask),
  now: nowOf(process.getBuiltinModule('node:perf_hooks').performance),
}

/**
 * Returns the function that a test's fake stands for: the package may be loaded while they are in place. Jest, Vitest and
 * Sinon all use @sinonjs/fake-timers, whose fakes name their clock, and a clock keeps what it has replaced.
 */
function original<Timer extends object>(name: keyof Timers, given: Timer): Timer {
  const fake = given as { clock?: Record<string, Timer | undefined> } | undefined // a realm may have no queueMicrotask
  return fake?.clock?.[`_${name}`] ?? given
}

function nowOf(performance: { now(): number }): () => number {
  return performance.now.bind(performance)
}
