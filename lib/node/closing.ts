import { Socket } from 'node:net'
import { CLOSING } from './keys.js'
import type { ServerSocket } from './internals.js'

type ClosingSocket = ServerSocket & { [CLOSING]?: Closing | undefined }

/** Closes a connection in its own way after a response with `Connection: close`. */
export interface Closing {
  close(): void
}

/** Makes Node leave the closing of a connection to `closing`. */
export function takeOverClosing(socket: ClosingSocket, closing: Closing): void {
  socket[CLOSING] = closing
  socket.destroySoon = closeInOwnWay
}

export function isClosedBy(socket: ClosingSocket, closing: Closing): boolean {
  return socket[CLOSING] === closing
}

/** Leaves the closing of a connection to Node again. */
export function giveBackClosing(socket: ClosingSocket): void {
  socket[CLOSING] = undefined
}

/** Replaces `socket.destroySoon`. */
function closeInOwnWay(this: ClosingSocket): void {
  const closing = this[CLOSING]
  if (closing === undefined) Socket.prototype.destroySoon.call(this)
  else closing.close()
}

/**
 * Holds the closing of a connection back until the body has come. The response announced it, as nothing read the body
 * when its head was written; a reader that began right behind `res.end()` gets the whole body all the same.
 */
export class HeldClosing implements Closing {
  private readonly socket: ServerSocket
  /** True once Node would have closed the connection. */
  isDue = false

  constructor(socket: ServerSocket) {
    this.socket = socket
    takeOverClosing(socket, this)
  }

  close(): void {
    this.isDue = true
  }

  release(): void {
    if (!isClosedBy(this.socket, this)) return
    giveBackClosing(this.socket)
    if (this.isDue) this.socket.destroySoon()
  }
}
