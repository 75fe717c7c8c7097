import type { Socket } from 'node:net'
import { WATCHERS } from './keys.js'

/** Waits for the end of a connection. */
export interface ConnectionWatcher {
  connectionClosed(): void
}

type WatchedSocket = Socket & { [WATCHERS]?: Set<ConnectionWatcher> | undefined }

/**
 * Tells `watcher` when a connection has closed. However many watch one connection, it has one listener: a client may
 * send any number of requests on it before the first is answered, and Node warns of the eleventh.
 */
export function watchConnection(socket: WatchedSocket, watcher: ConnectionWatcher): void {
  if (socket[WATCHERS] === undefined) {
    socket[WATCHERS] = new Set()
    socket.on('close', tellWatchers)
  }
  socket[WATCHERS].add(watcher)
}

/** The last one takes the listener with it: a connection may live long. */
export function unwatchConnection(socket: WatchedSocket, watcher: ConnectionWatcher): void {
  const watchers = socket[WATCHERS]
  if (watchers?.delete(watcher) !== true || watchers.size > 0) return
  socket[WATCHERS] = undefined
  socket.off('close', tellWatchers)
}

function tellWatchers(this: WatchedSocket): void {
  for (const watcher of this[WATCHERS] ?? []) watcher.connectionClosed()
}
