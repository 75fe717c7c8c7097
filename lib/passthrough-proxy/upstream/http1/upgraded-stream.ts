import { AsyncResource } from 'node:async_hooks'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'

/**
 * A connection that has left HTTP, as a stream. Its socket emits no 'data', as it reads into reused memory; the
 * stream takes copies. Each half ends separately.
 */
export class UpgradedStream extends Duplex {
  private readonly socket: Socket
  /** The context of the request that asked for the upgrade, instead of the one that opened the connection. */
  private readonly context = new AsyncResource('SLUICEWAY_TUNNEL')

  constructor(socket: Socket) {
    super({ allowHalfOpen: true })
    this.socket = socket
  }

  /** Takes bytes, whose memory will be reused. */
  receive(bytes: Buffer): void {
    if (!this.pushInContext(Buffer.from(bytes))) this.socket.pause()
  }

  /** Notes that the server has ended its half. */
  receiveEnd(): void {
    this.pushInContext(null)
  }

  private pushInContext(bytes: Buffer | null): boolean {
    return this.context.runInAsyncScope(() => this.push(bytes))
  }

  override _read(): void {
    this.socket.resume()
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.socket.write(chunk, encoding, callback)
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.socket.end(() => callback())
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.socket.destroy()
    callback(error)
  }
}
