import type { EventEmitter } from 'node:events'

type Listener = Parameters<EventEmitter['on']>[1]

/** The listeners that one `pipeChild` has added, so that all of them can be removed when it is over. */
export class ListenerSet {
  private readonly removals: (() => void)[] = []

  /** Adds a listener. `compression` moves one for 'drain' to its own stream, and returns that stream. */
  on(emitter: EventEmitter, event: string, listener: Listener): void {
    const holder = (emitter.on(event, listener) as EventEmitter | undefined) ?? emitter
    this.removals.push(() => holder.off(event, listener))
  }

  /** Adds what removes a listener that is none of an event emitter's. */
  addRemoval(remove: () => void): void {
    this.removals.push(remove)
  }

  removeAll(): void {
    for (const remove of this.removals.splice(0)) remove()
  }
}
