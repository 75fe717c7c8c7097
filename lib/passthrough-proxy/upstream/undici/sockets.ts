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
