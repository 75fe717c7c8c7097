import { subscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'

/** A request that is about to go out on a connection of undici's. */
export interface Sender {
  onSocket(socket: Socket): void
}

let next: Sender | undefined
let isWatching = false

/** undici tells of each head that it writes, and on which socket. */
export function watchSockets(): void {
  if (isWatching) return
  isWatching = true
  subscribe('undici:client:sendHeaders', (message) => {
    const sender = next
    next = undefined
    sender?.onSocket((message as { readonly socket: Socket }).socket)
  })
}

/** A head that undici writes now is this request's. Where there is none (a mock, HTTP/2), the next one is another's. */
export function expectSocket(sender: Sender): void {
  next = sender
  queueMicrotask(forget)
}

function forget(): void {
  next = undefined
}

/**
 * undici 7 fails an assertion, and with it the process, where its parser is paused when the upstream ends a connection
 * that ends the body too (nodejs/undici#5360). All of the body has been read by then, so that nothing more comes of it.
 */
export class PausedEnd {
  private readonly socket: Socket
  private readonly wake: () => void

  /** `resume` is called before undici hears of the end. */
  constructor(socket: Socket, resume: () => void) {
    this.socket = socket
    this.wake = resume
    socket.prependListener('end', this.wake)
  }

  forget(): void {
    this.socket.off('end', this.wake)
  }
}
