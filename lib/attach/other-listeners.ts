import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

import { hasListeners } from '../node/stream-state.js'
import { endOnRejection } from './end-on-error.js'

/** An 'upgrade' listener, such as that of a WebSocket server beside the app. */
export type UpgradeListener = (req: IncomingMessage, socket: Duplex, head: Buffer) => unknown

/**
 * Has a server tell `listener` alone of upgrades, until the function that it returns is called. Node tells all listeners
 * of an event at once, and `ws` refuses each upgrade that is not for its own path.
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
    // Other code may have put a layer around this one since.
    if (server.emit !== emitButUpgrades) return
    if (wasOwn) server.emit = emit
    else Reflect.deleteProperty(server, 'emit')
  }
}

/** The 'upgrade' listeners of a server other than `own`, as they are now: those that may take a connection. */
export function takersBeside(server: Server, own: UpgradeListener): UpgradeListener[] {
  return listenersBeside(server, own).filter(isTaker)
}

/** The other ones, which only watch. */
export function watchersBeside(server: Server, own: UpgradeListener): UpgradeListener[] {
  return listenersBeside(server, own).filter((listener) => !isTaker(listener))
}

function listenersBeside(server: Server, own: UpgradeListener): UpgradeListener[] {
  return (server.rawListeners('upgrade') as UpgradeListener[]).filter((listener) => listener !== own)
}

/** A listener without a parameter for the connection counts upgrades, or waits for one: `await once(server, 'upgrade')`. */
function isTaker(listener: UpgradeListener & { readonly listener?: UpgradeListener }): boolean {
  return (listener.listener ?? listener).length > 1
}

/** Calls listeners that only watch, and tells whether one of them has taken the connection all the same. */
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
 * Calls listeners that may take the connection. Returns a function that tells whether all of them have ignored it so
 * far; one that has returned a promise has not.
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

/** Calls listeners as Node does, and tells whether one of them has returned a promise. */
function callAll(listeners: readonly UpgradeListener[], server: Server, upgrade: UpgradeArguments): boolean {
  const promises = listeners.map((listener) => listener.apply(server, upgrade)).filter(isPromise)
  for (const promise of promises) endOnRejection(upgrade[1], promise)
  return promises.length > 0
}

/** Changes once somebody listens to a connection, or writes to it. */
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
