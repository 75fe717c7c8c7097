import { subscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { timers } from '../../../node/timers.js'

/** A request that is about to be sent on one of undici's connections. */
export interface Sender {
  /** `asserts` is true for undici 7, see PausedEnd. */
  onSocket(socket: Socket, asserts: boolean): void
}

/** The message of undici's event. */
interface SentHead {
  readonly socket: Socket
  readonly request: object
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
    const { socket, request } = message as SentHead
    // That of undici 8 has the names of its handlers.
    sender?.onSocket(socket, 'onComplete' in request)
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
 * Avoids an assertion of undici 7 that ends the process: it fails if undici's parser is paused when the end or the reset
 * of a connection also ends the body (nodejs/undici#5360). Before an end, the whole body has been read. After a reset,
 * the parser cannot go on: undici then has to take it for a failure.
 */
export class PausedEnd {
  private readonly socket: Socket
  private readonly wake: () => void

  /** `resume` is called before undici notices the end. undici 8 reads on by itself. */
  constructor(socket: Socket, resume: () => void, asserts: boolean) {
    this.socket = socket
    this.wake = resume
    socket.prependListener('end', this.wake)
    if (asserts) socket.prependListener('error', hideReset)
  }

  forget(): void {
    this.socket.off('end', this.wake).off('error', hideReset)
  }
}

/** Hides the code, by which undici decides, from the listeners of this event. */
function hideReset(error: NodeJS.ErrnoException): void {
  const { code } = error
  if (code !== 'ECONNRESET') return
  error.code = 'UND_ERR_SOCKET'
  timers.nextTick(giveBackCode, error, code)
}

function giveBackCode(error: NodeJS.ErrnoException, code: string): void {
  error.code = code
}
