import type { OnReadOpts, Socket } from 'node:net'
import { isReset } from '../../../node/connection/connection.js'
import { isIntercepted, openingMethod } from '../../../node/connection/intercepted-socket.js'
import { closeWithHalves, forgetFlow, forgetWriteError, outliveWriting } from '../../../node/streams/state.js'
import { type Memory, ReadMemory, tunnelMemory } from './read-memory.js'
import { isSecure } from './tls.js'
import { emitBytes } from './tunnel-reading.js'

export interface SocketOpener {
  /** Opens a socket that reads into the memory it is given. */
  open(onread: OnReadOpts): Socket
  /** Opens a socket that other code intercepts; it emits its bytes. */
  openIntercepted(): Socket
  /** Called with the socket once it is open. */
  tune(socket: Socket): void
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

/** Listeners by event: each takes an error or bytes. */
type Listeners = Readonly<Record<string, (value: Error & Buffer) => void>>

/** The socket of a connection: bytes in and out. */
export class Transport {
  readonly socket: Socket
  private memory: Memory = new ReadMemory()
  /** Takes the bytes of a read. False stops the reading. */
  private receive: (bytes: Buffer) => boolean
  private listeners: Listeners
  private readonly openedBy = openingMethod()
  isPaused = false

  constructor(opener: SocketOpener, owner: TransportOwner) {
    this.receive = receiverOf(owner)
    this.socket = this.open(opener)
    // A server that answers early may close the connection before it has read all bytes. Its answer has arrived by then.
    outliveWriting(this.socket)
    this.onceOpen(opener, owner)
    this.listeners = { ...this.listenersOf(owner), ...this.dataListener() }
    for (const [event, listener] of Object.entries(this.listeners)) this.socket.on(event, listener)
  }

  /** True if the server has reset the connection. */
  get isReset(): boolean {
    return isReset(this.socket)
  }

  /** True if other code answers in place of the server. */
  get isIntercepted(): boolean {
    return isIntercepted(this.socket)
  }

  /** False once other code has begun, or ceased, to intercept all sockets that are opened. */
  get isCurrent(): boolean {
    return this.openedBy === openingMethod()
  }

  /** Keeps the last bytes, which a receiver still needs. */
  keepRead(): void {
    this.memory.leave?.()
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

  /**
   * Turns the connection into a stream of its own: the bytes from now on are not HTTP. A tunnel may wait for hours, so
   * nothing of the request is held by it.
   */
  intoStream(): Socket {
    const { socket } = this
    for (const [event, listener] of Object.entries(this.listeners)) socket.off(event, listener)
    this.listeners = {}
    this.memory = tunnelMemory
    this.receive = emitBytes(socket)
    forgetFlow(socket)
    closeWithHalves(socket)
    return socket.on('error', destroy)
  }

  /**
   * Opens the socket. An intercepted one, such as nock's, never reads, as its bytes are pushed: it is opened again, since
   * it has not connected.
   */
  private open(opener: SocketOpener): Socket {
    const socket = opener.open(this.reading())
    if (!isIntercepted(socket)) return socket
    socket.destroy()
    return opener.openIntercepted()
  }

  private dataListener(): Listeners {
    return this.isIntercepted ? { data: (bytes) => this.receive(bytes) } : {}
  }

  // These functions lead to this object alone, as a socket holds them as long as it lives.
  private reading(): OnReadOpts {
    return { buffer: () => this.memory.give(), callback: (length) => this.onRead(length) }
  }

  /** Listens once: nock 15 calls the listeners twice, the second time when a request may be on its way. */
  private onceOpen(opener: SocketOpener, owner: TransportOwner): void {
    this.socket.once(isSecure(this.socket) ? 'secureConnect' : 'connect', () => {
      opener.tune(this.socket)
      owner.onOpen()
    })
  }

  private listenersOf(owner: TransportOwner): Listeners {
    return {
      drain: () => owner.onDrain(),
      end: () => owner.onServerEnd(),
      error: (error) => this.onError(error, owner),
      close: () => owner.onLost(new Error('the connection was closed')),
    }
  }

  private onRead(length: number): boolean {
    return !this.socket.destroyed && this.receive(this.memory.filled(length))
  }

  /**
   * Handles an error. Bytes that TLS cannot read are not an error of the stream, and do not destroy it, but no bytes
   * follow.
   */
  private onError(error: Error, owner: TransportOwner): void {
    const isOfWriting = this.socket.errored === error && !this.socket.destroyed
    if (!isOfWriting) return owner.onLost(error)
    forgetWriteError(this.socket)
    owner.onWriteError(error)
  }
}

function receiverOf(owner: TransportOwner): (bytes: Buffer) => boolean {
  return (bytes) => {
    owner.onBytes(bytes)
    return true
  }
}

/** Ends a tunnel whose bytes TLS cannot read: Node only emits the error. */
function destroy(this: Socket): void {
  this.destroy()
}
