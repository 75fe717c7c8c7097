import type { OnReadOpts, Socket } from 'node:net'

import { forgetWriteError, outliveWriting } from '../../../node/stream-state.js'
import { ReadMemory } from './read-memory.js'
import { isSecure } from './tls.js'
import { UpgradedStream } from './upgraded-stream.js'

/** A dead host ends a silent stream; a live one may stay silent for hours. */
const KEEP_ALIVE_MS = 60_000

/** Opens a socket that reads into the memory it is given. */
export interface SocketOpener {
  open(onread: OnReadOpts): Socket
}

/** Hears of a socket, until that is a tunnel. */
export interface TransportOwner {
  onOpen(): void
  /** Bytes have come; they are overwritten by the next ones where `keepRead` is not called. */
  onBytes(bytes: Buffer): void
  /** The connection takes more. */
  onDrain(): void
  /** The server takes no more; what it has sent by then is still to come. */
  onWriteError(error: Error): void
  /** The server sends no more. */
  onServerEnd(): void
  /** The connection is gone. Comes last, and also where nothing went wrong. */
  onLost(error: Error): void
}

/** The socket of a connection: bytes out, bytes in. */
export class Transport {
  readonly socket: Socket
  private readonly owner: TransportOwner
  private readonly memory = new ReadMemory()
  private tunnel: UpgradedStream | undefined
  isPaused = false

  constructor(opener: SocketOpener, owner: TransportOwner) {
    this.owner = owner
    this.socket = opener.open({
      buffer: () => this.memory.give(),
      callback: (length) => this.onRead(length),
    })
    // A server that answers early may close a connection that it has not read: its answer came before that.
    outliveWriting(this.socket)
    this.listen()
  }

  /**
   * The server has reset the connection. Where that comes together with its last bytes, libuv tells of an orderly end; but
   * then the socket has no peer any more. Nobody may have asked for its address before: Node remembers that.
   */
  get isReset(): boolean {
    const { localAddress, remoteAddress } = this.socket
    return localAddress !== undefined && remoteAddress === undefined
  }

  /** Somebody still needs the bytes that came last. */
  keepRead(): void {
    this.memory.leave()
  }

  pause(): void {
    this.isPaused = true
    this.socket.pause()
  }

  resume(): void {
    if (!this.isPaused) return
    this.isPaused = false
    this.socket.resume()
  }

  /** What comes from now on is no HTTP, and goes to a stream of its own. */
  intoStream(): UpgradedStream {
    this.tunnel = new UpgradedStream(this.socket)
    return this.tunnel
  }

  private listen(): void {
    const { socket, owner } = this
    socket.once(isSecure(socket) ? 'secureConnect' : 'connect', () => this.onOpen())
    socket.on('drain', () => owner.onDrain())
    socket.on('end', () => this.onEnd())
    socket.on('error', (error) => this.onError(error))
    socket.on('close', () => this.onLost(undefined))
  }

  /** Not before: of several addresses, each has a socket of its own beneath this one. */
  private onOpen(): void {
    this.socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_MS)
    this.owner.onOpen()
  }

  private onRead(length: number): boolean {
    if (this.socket.destroyed) return false
    const bytes = this.memory.filled(length)
    if (this.tunnel === undefined) this.owner.onBytes(bytes)
    else this.tunnel.receive(bytes)
    return true
  }

  private onEnd(): void {
    if (this.tunnel === undefined) this.owner.onServerEnd()
    else this.tunnel.receiveEnd()
  }

  /** What TLS cannot read is no error of the stream, and does not destroy it either: nothing comes behind it. */
  private onError(error: Error): void {
    const isOfWriting = this.socket.errored === error && !this.socket.destroyed
    if (!isOfWriting || this.tunnel !== undefined) return this.onLost(error)
    forgetWriteError(this.socket)
    this.owner.onWriteError(error)
  }

  private onLost(error: Error | undefined): void {
    if (this.tunnel === undefined) this.owner.onLost(error ?? new Error('the connection was closed'))
    else this.tunnel.destroy(error)
  }
}
