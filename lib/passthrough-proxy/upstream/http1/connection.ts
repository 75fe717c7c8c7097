import { InterimLimit } from '../interim-limit.js'
import { TOO_MANY_INTERIM } from '../messages.js'
import type { ClientConnection, Failure } from '../upstream.js'
import { freeAfterPoll } from './after-poll.js'
import type { Delivery, Holder } from './delivery.js'
import { EndableConnection } from './endable-connection.js'
import { malformedResponse, UNTOLD } from './failures.js'
import { MalformedResponse } from './line-section.js'
import { sendsLogin } from './login.js'
import { type ResponseEvents, ResponseParser } from './response-parser.js'
import { type SocketOpener, Transport } from './transport.js'
import { writeRequest } from './write-request.js'

/** The pool as its connection sees it. */
export interface ConnectionOwner {
  /** Called when a response has been read to its end; the connection is free unless more bytes follow. */
  onSettling(connection: Connection): void
  /** Called when the connection can carry a request. */
  onFree(connection: Connection): void
  /** Called when the connection has ended. `lost` is the request that it carried. */
  onGone(connection: Connection, failure: Failure, lost: Delivery | undefined): void
}

export interface ConnectionSettings {
  readonly connectTimeoutMs: number
  readonly maxResponseHeadBytes: number
}

/** One connection to a server, with the requests that it carries, one at a time. */
export class Connection extends EndableConnection implements Holder, ResponseEvents {
  private readonly owner: ConnectionOwner
  protected readonly transport: Transport
  private readonly parser: ResponseParser
  private readonly interim = new InterimLimit()
  private upgradeLines: string[] | undefined
  private served = 0
  private isLast = false
  /** True if it carries a login, and therefore serves only one client connection. */
  hasLogin = false
  /** True from the end of a response until it is free or gone. */
  isSettling = false
  /** The client connection of the last request, if it is known. */
  client: ClientConnection | undefined
  /** The time at which it has been idle for too long. */
  expiresAt = 0

  constructor(opener: SocketOpener, owner: ConnectionOwner, settings: ConnectionSettings) {
    super()
    this.owner = owner
    this.parser = new ResponseParser(this, settings.maxResponseHeadBytes)
    this.transport = new Transport(opener, this)
    this.countdown.start(settings.connectTimeoutMs)
  }

  /** The number of seconds for which the server says it keeps the connection. */
  get keepAliveHint(): number | undefined {
    return this.parser.keepAliveHint
  }

  /** True until its first request. */
  get isNew(): boolean {
    return this.served === 0
  }

  /** True if other code has begun, or ceased, to intercept all sockets since this one was opened. */
  get isOutdated(): boolean {
    return !this.transport.isCurrent
  }

  /** True if it has carried an earlier request, and the present response has not begun. Mocks end theirs on purpose. */
  get isStale(): boolean {
    return this.served > 1 && !this.parser.hasBegun && !this.transport.isIntercepted
  }

  send(delivery: Delivery): void {
    this.transport.socket.ref()
    delivery.isReused = !this.isNew
    delivery.holder = this
    this.delivery = delivery
    this.client = delivery.request.clientConnection
    this.served += 1
    this.hasHead = false
    this.isLast = delivery.head.isLast
    this.hasLogin ||= delivery.head.logsIn
    this.interim.begin()
    this.parser.begin(delivery.request.method, delivery.request.upgrade)
    delivery.runInAsyncScope(() => this.start(delivery))
  }

  /** Waits for a request, without keeping the process alive. */
  rest(): void {
    this.transport.socket.unref()
  }

  pause(): void {
    this.countdown.stop()
    this.transport.pause()
  }

  resume(): void {
    if (!this.transport.isPaused) return
    this.waitForServer()
    this.transport.resume()
  }

  /** Tells the receiver, in its own context, and writes the request. The body may call listeners of the application. */
  private start(delivery: Delivery): void {
    try {
      delivery.receiver.onSending(delivery)
      if (this.delivery !== delivery) return
      this.waitForServer()
      this.upload = writeRequest(delivery, this.transport.socket, this)
    } catch (thrown) {
      this.upload = delivery.upload
      this.die({ kind: 'malformed', maybeHeard: false, cause: thrown })
    }
  }

  onOpen(): void {
    this.phase = 'open'
    this.countdown.stop()
    this.free()
  }

  onBytes(bytes: Buffer): void {
    if (this.delivery === undefined) this.destroy()
    else this.delivery.runInAsyncScope(readIn, undefined, this, bytes)
  }

  read(bytes: Buffer): void {
    try {
      const end = this.parser.execute(bytes)
      if (this.upgradeLines !== undefined) this.handOver(this.upgradeLines, Buffer.from(bytes.subarray(end)))
      else if (!this.parser.isOver) this.endRead()
      else if (this.phase !== 'gone') this.settle(end === bytes.length)
    } catch (thrown) {
      this.die(malformedResponse(thrown))
    }
  }

  /** Keeps the bytes of a read if the receiver needs them. One that has given up may still be writing its chunks. */
  private endRead(): void {
    if (this.hasHead && this.delivery?.receiver.onReadOver() !== false) this.transport.keepRead()
  }

  onInformation(status: number, lines: string[]): void {
    if (!this.interim.count(lines)) throw new MalformedResponse(TOO_MANY_INTERIM)
    // A 100 was not requested: `Expect` is never sent.
    if (status !== 100) this.delivery?.receiver.onInformation(status, lines)
  }

  onHead(status: number, reason: string, lines: string[]): void {
    const { delivery } = this
    if (delivery === undefined) return
    this.hasHead = true
    this.hasLogin ||= sendsLogin(status, lines)
    this.waitForServer()
    if (this.parser.refusesBody(status)) this.upload?.hold(() => this.countdown.restart())
    delivery.receiver.onHead(status, reason, lines)
  }

  onBody(chunk: Buffer): void {
    if (this.delivery === undefined) return
    this.countdown.restart()
    this.delivery.receiver.onBody(chunk)
  }

  onEnd(trailers: string[], last?: Buffer): void {
    const { delivery } = this
    if (delivery === undefined) return
    this.countdown.stop()
    // From now on the receiver must not reach the connection, which may carry another request.
    delivery.holder = undefined
    const isFree = delivery.receiver.onEnd(trailers, last) === false
    if (!isFree) this.transport.keepRead()
    this.delivery = undefined
    delivery.end()
  }

  onUpgrade(lines: string[]): void {
    if (this.isSending) throw new MalformedResponse('the upstream sent a 101 before it had read the request')
    this.upgradeLines = lines
  }

  onSent(): void {
    if (!this.hasHead) this.countdown.restart()
  }

  /** Ends the response: the connection is freed for the next request, or ends. */
  private settle(isAll: boolean): void {
    const isSent = this.upload?.isWhole !== false && this.writeError === undefined
    this.upload?.stop()
    this.upload = undefined
    if (!isAll || !isSent || this.isLast || !this.parser.isKept) return this.destroy()
    // A paused connection would never answer the next request.
    this.transport.resume()
    this.owner.onSettling(this)
    freeAfterPoll(this)
  }

  /** Frees the connection, unless later bytes or its end have closed it, or the server has not read the request. */
  free(): void {
    // This is checked only here: over TLS, Node may learn that a write is done only after a quick response to it.
    if (this.transport.socket.writableLength > 0) this.destroy()
    else if (this.phase !== 'gone') this.owner.onFree(this)
  }

  protected override gone(reason: Failure, lost: Delivery | undefined): void {
    this.owner.onGone(this, reason, lost)
  }

  private handOver(lines: string[], early: Buffer): void {
    const { delivery } = this
    if (delivery === undefined) return
    const stream = this.transport.intoStream()
    this.phase = 'gone'
    this.countdown.end()
    delivery.holder = undefined
    this.gone(UNTOLD, undefined)
    delivery.handOver(lines, stream, early)
  }

  onDrain(): void {
    this.upload?.resume()
    if (!this.hasHead) this.countdown.restart()
  }

  onServerEnd(): void {
    try {
      // A server also resets a connection if it leaves a part of the request unread; its answer counts.
      const isCut = this.transport.isReset && !this.isSending
      if (!isCut) this.delivery?.runInAsyncScope(() => this.parser.finish())
      this.onLost(new Error('the upstream closed the connection'))
    } catch (thrown) {
      this.die(malformedResponse(thrown))
    }
  }
}

function readIn(connection: Connection, bytes: Buffer): void {
  connection.read(bytes)
}
