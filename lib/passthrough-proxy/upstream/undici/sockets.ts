import { subscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { timers } from '../../../node/timers.js'

/** A request that is about to be sent on one of undici's connections. */
export interface Sender {
  onSocket(socket: Socket): void
}

let next: Sender | undefined
let isWatching = false

/** Subscribes to undici's event for each head that it writes, which names the socket. */
export function watchSockets(): void {
  if (isWatching) return
  isWatching = true
  subscribe('undici:client:sendHeaders', (message) => {
    const sender = next
    next = undefined
    sender?.onSocket((message as { readonly socket: Socket }).socket)
  })
}

/**
 * Assigns the next head that undici writes to this request. If it writes none (a mock, HTTP/2), the next one belongs
 * to another request.
 */
export function expectSocket(sender: Sender): void {
  next = sender
  timers.queueMicrotask(forget)
}

function forget(): void {
  next = undefined
}

/**
 * Avoids an assertion of undici 7 that ends the process: it fails if undici's parser is paused when the upstream ends
 * a connection that also ends the body (nodejs/undici#5360). The whole body has been read by then.
 */
export class PausedEnd {
  private readonly socket: Socket
  private readonly wake: () => void

  /** `resume` is called before undici notices the end. */
  constructor(socket: Socket, resume: () => void) {
    this.socket = socket
    this.wake = resume
    socket.prependListener('end', this.wake)
  }

  forget(): void {
    this.socket.off('end', this.wake)
  }
}
