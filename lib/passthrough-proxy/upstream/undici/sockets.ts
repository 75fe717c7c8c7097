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

/** The next head that undici writes is this request's: nothing happens in between. */
export function expectSocket(sender: Sender): void {
  next = sender
}
