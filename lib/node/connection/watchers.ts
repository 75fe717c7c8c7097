import type { Socket } from 'node:net'
import { WATCHERS } from '../keys.js'

/** An object that is told when a connection ends. */
export interface ConnectionWatcher {
  connectionClosed(): void
}

type WatchedSocket = Socket & { [WATCHERS]?: Set<ConnectionWatcher> | undefined }

/**
 * Tells `watcher` when a connection has closed. All watchers of a connection share one listener: a client may send
 * any number of requests on it before the first is answered, and Node warns of the eleventh listener.
 */
export function watchConnection(socket: WatchedSocket, watcher: ConnectionWatcher): void {
  if (socket[WATCHERS] === undefined) {
    socket[WATCHERS] = new Set()
    socket.on('close', tellWatchers)
  }
  socket[WATCHERS].add(watcher)
}

/** Stops watching. The last watcher removes the listener, as a connection may live long. */
export function unwatchConnection(socket: WatchedSocket, watcher: ConnectionWatcher): void {
  const watchers = socket[WATCHERS]
  if (watchers?.delete(watcher) !== true || watchers.size > 0) return
  socket[WATCHERS] = undefined
  socket.off('close', tellWatchers)
}

function tellWatchers(this: WatchedSocket): void {
  for (const watcher of this[WATCHERS] ?? []) watcher.connectionClosed()
}
