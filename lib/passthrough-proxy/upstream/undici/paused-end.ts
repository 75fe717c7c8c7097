import type { Socket } from 'node:net'

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
