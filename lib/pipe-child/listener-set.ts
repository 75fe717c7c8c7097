import type { EventEmitter } from 'node:events'

type Listener = Parameters<EventEmitter['on']>[1]

/** The listeners that one call of `pipeChild` has added. All of them are removed when it settles. */
export class ListenerSet {
  private readonly removals: (() => void)[] = []

  /**
   * Adds a listener, and returns the emitter that has it: `compression` moves 'drain' listeners to its own stream, and
   * `on` returns that stream.
   */
  on(emitter: EventEmitter, event: string, listener: Listener): EventEmitter {
    const returned = emitter.on(event, listener) as Partial<EventEmitter> | undefined
    const holder = typeof returned?.off === 'function' ? (returned as EventEmitter) : emitter
    this.removals.push(() => holder.off(event, listener))
    return holder
  }

  /** Adds a function that removes a listener of another kind. */
  addRemoval(remove: () => void): void {
    this.removals.push(remove)
  }

  removeAll(): void {
    for (const remove of this.removals.splice(0)) remove()
  }
}
