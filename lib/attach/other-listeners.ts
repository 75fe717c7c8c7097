import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { hasListeners } from '../node/streams/listeners.js'
import { isPromise } from '../shared/promises.js'
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
export function otherTakers(server: Server, own: UpgradeListener): UpgradeListener[] {
  return otherListeners(server, 'upgrade', own).filter(isTaker)
}

/** Returns the 'upgrade' listeners of a server, except `own`, that only watch. */
export function otherWatchers(server: Server, own: UpgradeListener): UpgradeListener[] {
  return otherListeners(server, 'upgrade', own).filter((listener) => !isTaker(listener))
}

/** Tells whether a server has another 'checkContinue' listener that can answer: Node calls all of them. */
export function hasExpectTaker(server: Server, own: Listener): boolean {
  return otherListeners(server, 'checkContinue', own).some(isTaker)
}

function otherListeners(server: Server, event: string, own: Listener): UpgradeListener[] {
  return (server.rawListeners(event) as UpgradeListener[]).filter((listener) => listener !== own)
}

type Listener = (...args: never) => unknown

/**
 * Tells whether a listener can take the connection. One without a second parameter, the connection or the response,
 * only watches: a counter, or `await once(server, 'upgrade')`.
 */
function isTaker(listener: Listener & { readonly listener?: Listener }): boolean {
  return (listener.listener ?? listener).length > 1
}

/** Calls listeners that only watch. Returns true if one of them has taken the connection anyway. */
export function tellWatchers(
  listeners: readonly UpgradeListener[],
  server: Server,
  upgrade: UpgradeArguments,
): boolean {
  const [, socket] = upgrade
  const isAnswered = answerCheck(socket)
  for (const listener of listeners) tell(listener, server, upgrade)
  return isAnswered() || hasListeners(socket)
}

/**
 * Calls listeners that can take the connection, until one of them answers: `ws` would refuse what another one has taken.
 * Returns a function that is true as long as all of them ignore the upgrade; a listener that has returned a promise does
 * not ignore it.
 */
export function tellTakers(
  listeners: readonly UpgradeListener[],
  server: Server,
  upgrade: UpgradeArguments,
): () => boolean {
  const [, socket] = upgrade
  const isAnswered = answerCheck(socket)
  const before = traceOf(socket)
  let isAwaited = false
  for (const listener of listeners) {
    if (isAnswered()) break
    isAwaited = tell(listener, server, upgrade) || isAwaited
  }
  return () => !isAwaited && !isAnswered() && traceOf(socket) === before
}

type UpgradeArguments = Parameters<UpgradeListener>

/** Calls a listener as Node does, and returns true if it has returned a promise. */
function tell(listener: UpgradeListener, server: Server, upgrade: UpgradeArguments): boolean {
  const result = listener.apply(server, upgrade)
  if (!isPromise(result)) return false
  endOnRejection(upgrade[1], result, upgrade[0])
  return true
}

/** Returns a function that is true once bytes are written to a connection, or its writing has ended. */
function answerCheck(socket: Duplex): () => boolean {
  const { writable } = socket
  const before = bytesWritten(socket)
  return () => bytesWritten(socket) !== before || socket.writable !== writable
}

/** Returns a text that changes if a listener is added to a connection. */
function traceOf(socket: Duplex): string {
  return socket
    .eventNames()
    .map((event) => socket.listenerCount(event))
    .join()
}

function bytesWritten(socket: Duplex): number | undefined {
  return (socket as Partial<Socket>).bytesWritten
}
