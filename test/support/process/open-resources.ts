import { readdirSync } from 'node:fs'
import type { ClientHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import { waitFor } from '../time/waiting.js'

/** Counts the file descriptors of this process, sockets included; 0 if the system does not list them. */
export function openDescriptors(): number {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return 0
  }
}

/** Counts the timers that keep this process alive. */
export function runningTimers(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
}

/** Waits until a socket is closed, with or without an error. */
export function closed(socket: Socket | ClientHttp2Stream): Promise<void> {
  if (socket.closed && socket.destroyed) return Promise.resolve()
  return waitFor(
    'a socket or stream to be closed',
    new Promise<void>((resolve) => void socket.once('close', () => resolve())),
  )
}
