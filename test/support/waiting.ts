/*
 * What the running test waits for. A test that awaits something that never comes fails by its time limit, of which
 * mocha could say no more than how long it was: no-mishaps.ts adds what was missing.
 */

import { type EventEmitter, once } from 'node:events'

const waits = new Set<() => string>()
let isTest = false

/** Forgets what an earlier test waited for. Programs in trials/ never call it, and nothing is noted there. */
export function beginTest(): void {
  isTest = true
  waits.clear()
}

/** Notes what is waited for, until the function that it gives is called. `what` is what should happen: 'X to be closed'. */
export function noteWait(what: () => string): () => void {
  if (!isTest) return () => {}
  waits.add(what)
  return () => void waits.delete(what)
}

/** All that is waited for now, empty where it is nothing that has been noted. */
export function waitedFor(): string {
  return [...new Set(Array.from(waits, (what) => what()))].join('; and for ')
}

/** Gives what `promise` gives. */
export async function waitFor<Value>(what: string, promise: PromiseLike<Value>): Promise<Value> {
  const isOver = noteWait(() => what)
  try {
    return await promise
  } finally {
    isOver()
  }
}

/** Waits for an event; `what` says of whom. */
export function happened(what: string, emitter: EventEmitter, event: string): Promise<unknown[]> {
  return waitFor(`${what} to emit '${event}'`, once(emitter, event))
}

/** The last bytes of what somebody has received, as a message shows them. */
export function lastOf(received: Buffer | string): string {
  if (received.length === 0) return 'it has received nothing that the test has not taken'
  const end = (typeof received === 'string' ? received : received.toString('latin1')).slice(-200)
  return `it has received ${received.length > 200 ? '… ' : ''}${JSON.stringify(end)}`
}
