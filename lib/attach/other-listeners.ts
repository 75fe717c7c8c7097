import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

import { hasListeners } from '../node/stream-state.js'
import { endOnRejection } from './end-on-error.js'

/** An 'upgrade' listener, such as that of a WebSocket server beside the app. */
export type UpgradeListener = (req: IncomingMessage, socket: Duplex, head: Buffer) => unknown

/**
 * Makes a server call only `listener` for an upgrade, until the returned function is called. Node calls all listeners
 * of an event at once, and `ws` refuses every upgrade for another path than its own.
 */
export function takeUpgrades(server: Server, listener: UpgradeListener): () => void {
  // oxlint-disable-next-line typescript/unbound-method
  const { emit } = server
  const wasOwn = Object.hasOwn(server, 'emit')
  let isTaken = true

  function emitButUpgrades(this: Server, event: string, ...args: unknown[]): boolean {
    if (event !== 'upgrade' || !isTaken) return Reflect.apply(emit, this, [event, ...args]) as boolean
    listener(...(args as Parameters<UpgradeListener>))
    return true
  }

  server.emit = emitButUpgrades
  return () => {
    isTaken = false
    // Other code may have wrapped this function in the meantime.
    if (server.emit !== emitButUpgrades) return
    if (wasOwn) server.emit = emit
    else Reflect.deleteProperty(server, 'emit')
  }
}

/** Returns the 'upgrade' listeners of a server, except `own`, that can take a connection. */
export function takersBeside(server: Server, own: UpgradeListener): UpgradeListener[] {
  return listenersBeside(server, own).filter(isTaker)
}

/** Returns the 'upgrade' listeners of a server, except `own`, that only watch. */
export function watchersBeside(server: Server, own: UpgradeListener): UpgradeListener[] {
  return listenersBeside(server, own).filter((listener) => !isTaker(listener))
}

function listenersBeside(server: Server, own: UpgradeListener): UpgradeListener[] {
  return (server.rawListeners('upgrade') as UpgradeListener[]).filter((listener) => listener !== own)
}

/** A listener without a parameter for the connection only watches: a counter, or `await once(server, 'upgrade')`. */
function isTaker(listener: UpgradeListener & { readonly listener?: UpgradeListener }): boolean {
  return (listener.listener ?? listener).length > 1
}

/** Calls listeners that only watch, and returns true if one of them has taken the connection nevertheless. */
export function tellWatchers(
  listeners: readonly UpgradeListener[],
  server: Server,
  upgrade: UpgradeArguments,
): boolean {
  const [, socket] = upgrade
  const before = bytesWritten(socket)
  callAll(listeners, server, upgrade)
  return bytesWritten(socket) !== before || hasListeners(socket)
}

/**
 * Calls listeners that can take the connection. Returns a function that is true as long as all of them ignore it; a
 * listener that has returned a promise does not ignore it.
 */
export function tellTakers(
  listeners: readonly UpgradeListener[],
  server: Server,
  upgrade: UpgradeArguments,
): () => boolean {
  const [, socket] = upgrade
  const before = traceOf(socket)
  const isAwaited = callAll(listeners, server, upgrade)
  return () => !isAwaited && socket.writable && traceOf(socket) === before
}

type UpgradeArguments = Parameters<UpgradeListener>

/** Calls listeners as Node does, and returns true if one of them has returned a promise. */
function callAll(listeners: readonly UpgradeListener[], server: Server, upgrade: UpgradeArguments): boolean {
  const promises = listeners.map((listener) => listener.apply(server, upgrade)).filter(isPromise)
  for (const promise of promises) endOnRejection(upgrade[1], promise)
  return promises.length > 0
}

/** Returns a text that changes if a listener is added to a connection, or bytes are written to it. */
function traceOf(socket: Duplex): string {
  const listeners = socket.eventNames().map((event) => socket.listenerCount(event))
  return [bytesWritten(socket), ...listeners].join()
}

function bytesWritten(socket: Duplex): number | undefined {
  return (socket as Partial<Socket>).bytesWritten
}

function isPromise(result: unknown): result is PromiseLike<unknown> {
  return typeof (result as PromiseLike<unknown> | undefined)?.then === 'function'
}
