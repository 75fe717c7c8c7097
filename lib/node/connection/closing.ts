import { Socket } from 'node:net'
import type { ServerSocket } from '../internals.js'
import { CLOSING } from '../keys.js'
import { skipFurtherMessages } from './parser.js'

type ClosingSocket = ServerSocket & { [CLOSING]?: Closing | undefined }

/** Closes a connection in its own way after a response with `Connection: close`. */
export interface Closing {
  close(): void
}

/** Leaves the closing of a connection to `closing` instead of Node. */
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
  if (closing === undefined) return Socket.prototype.destroySoon.call(this)
  skipMessages(this)
  closing.close()
}

/**
 * Keeps further bytes of a connection from becoming requests, which could not be answered any more. The parser stays
 * attached: it frames the rest of the body, and reads it off the socket.
 */
export function skipMessages({ parser }: ServerSocket): void {
  if (parser) skipFurtherMessages(parser)
}

/**
 * Keeps Node from closing a connection after a response until the body has arrived. The response announced it because
 * no reader had the body when its head was written; a reader that began right after `res.end()` still gets the whole
 * body. A closing after that is the application's, and is not held back.
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
    if (this.isDue) this.release()
    this.isDue = true
  }

  release(): void {
    if (!isClosedBy(this.socket, this)) return
    giveBackClosing(this.socket)
    if (this.isDue) this.socket.destroySoon()
  }
}
