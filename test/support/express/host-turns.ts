/** When the next middleware runs, behind the 'end' of a request that a host has read. */
export const hostTurns: Readonly<Record<string, (next: () => void) => void>> = {
  'at once': (next) => next(),
  'in a microtask': (next) => void Promise.resolve().then(next),
  'in the next tick': (next) => process.nextTick(next),
  'in the tick after': (next) => process.nextTick(() => process.nextTick(next)),
  'two ticks after': (next) => process.nextTick(() => process.nextTick(() => process.nextTick(next))),
  'in an immediate': (next) => setImmediate(next),
}
