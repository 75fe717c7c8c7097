/*
 * The events that the running test waits for. A test that awaits an event that never comes is ended by mocha's time
 * limit; mocha's error only tells how long it was, so no-mishaps.ts adds the missing event.
 */

import { type EventEmitter, once } from 'node:events'

const waits = new Set<() => string>()
/** The number of tests that have begun: 0 in the programs of trials/, whose waits are not noted. */
let begun = 0

/** Forgets the waits of earlier tests. */
export function beginTest(): void {
  begun += 1
  waits.clear()
}

/** Returns a function that tells whether another test has begun: nobody needs then what this one still waits for. */
export function untilNextTest(): () => boolean {
  const own = begun
  return () => own !== begun
}

/** Notes a wait until the returned function is called. `what` names the missing event: 'the upstream to be closed'. */
export function noteWait(what: () => string): () => void {
  if (begun === 0) return () => {}
  waits.add(what)
  return () => void waits.delete(what)
}

/** Every wait that is noted now; empty if there is none. */
export function waitedFor(): string {
  return [...new Set(Array.from(waits, (what) => what()))].join('; and for ')
}

/** Waits for `promise`, and returns its value. */
export async function waitFor<Value>(what: string, promise: PromiseLike<Value>): Promise<Value> {
  const isOver = noteWait(() => what)
  try {
    return await promise
  } finally {
    isOver()
  }
}

/** Waits for an event; `what` names its emitter. */
export function happened(what: string, emitter: EventEmitter, event: string): Promise<unknown[]> {
  return waitFor(`${what} to emit '${event}'`, once(emitter, event))
}

/** The last bytes that were received, as a message shows them. */
export function lastOf(received: Buffer | string): string {
  if (received.length === 0) return 'the test has taken every byte that came'
  const end = (typeof received === 'string' ? received : received.toString('latin1')).slice(-200)
  return `it has received ${received.length > 200 ? '… ' : ''}${JSON.stringify(end)}`
}
