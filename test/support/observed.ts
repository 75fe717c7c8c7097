import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { ChannelMessages, ProxiedRequest } from 'sluiceway'

type Name = keyof ChannelMessages

/** Subscribes to channels of the package, until `end`. */
export class Observer {
  private readonly undo: (() => void)[] = []

  on<Channel extends Name>(name: Channel, listener: (message: ChannelMessages[Channel]) => void): void {
    const onMessage = (message: unknown): void => listener(message as ChannelMessages[Channel])
    subscribe(name, onMessage)
    this.undo.push(() => unsubscribe(name, onMessage))
  }

  /** All that a channel tells from now on. */
  messages<Channel extends Name>(name: Channel): ChannelMessages[Channel][] {
    const told: ChannelMessages[Channel][] = []
    this.on(name, (message) => told.push(message))
    return told
  }

  /** All that is told of proxied requests from now on: which event, and its message. */
  proxied(told: [string, ProxiedRequest][] = []): [event: string, message: ProxiedRequest][] {
    for (const event of ['start', 'end', 'asyncStart', 'asyncEnd', 'error'] as const) {
      this.on(`tracing:sluiceway:proxy:${event}`, (message) => told.push([event, message]))
    }
    return told
  }

  end(): void {
    for (const undo of this.undo.splice(0)) undo()
  }
}

/** An observer for the tests of one `describe`, whose subscriptions end with each of them. */
export function observing(): Observer {
  const observer = new Observer()
  afterEach(() => observer.end())
  return observer
}
