import type { OnReadOpts, Socket } from 'node:net'

import { forgetWriteError, outliveWriting } from '../../../node/stream-state.js'
import { ReadMemory } from './read-memory.js'
import { isSecure } from './tls.js'
import { UpgradedStream } from './upgraded-stream.js'

/** Detects a dead host behind a silent stream; a live one may stay silent for hours. */
const KEEP_ALIVE_MS = 60_000

/** Opens a socket that reads into the memory it is given. */
export interface SocketOpener {
  open(onread: OnReadOpts): Socket
}

/** The connection as its transport sees it, until the socket becomes a tunnel. */
export interface TransportOwner {
  onOpen(): void
  /** Called with bytes; the next ones overwrite them unless `keepRead` is called. */
  onBytes(bytes: Buffer): void
  /** Called when the socket can take more. */
  onDrain(): void
  /** Called when the server accepts no more; bytes that it has sent before are still to come. */
  onWriteError(error: Error): void
  /** Called when the server sends no more. */
  onServerEnd(): void
  /** Called last, when the connection is gone, even without an error. */
  onLost(error: Error): void
}

/** The socket of a connection: bytes in and out. */
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
    // A server that answers early may close a connection that it has not read; its answer came before that.
    outliveWriting(this.socket)
    this.listen()
  }

  /**
   * True if the server has reset the connection. If the reset comes together with its last bytes, libuv reports an
   * orderly end, but the socket has no peer any more. No code may have read its address before, as Node remembers
   * that.
   */
  get isReset(): boolean {
    const { localAddress, remoteAddress } = this.socket
    return localAddress !== undefined && remoteAddress === undefined
  }

  /** Keeps the last bytes, which a receiver still needs. */
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

  /** Turns the connection into a stream of its own: the bytes from now on are not HTTP. */
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

  /** Sets the keep-alive only now: if a name has several addresses, each has a socket of its own below this one. */
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

  /**
   * Handles an error. Bytes that TLS cannot read are not an error of the stream, and do not destroy it, but no bytes
   * follow.
   */
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
