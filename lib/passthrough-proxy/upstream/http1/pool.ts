import type { Failure } from '../upstream.js'
import { Connection, type ConnectionOwner, type ConnectionSettings } from './connection.js'
import type { Connector } from './connector.js'
import type { Delivery, Holder } from './delivery.js'
import { connectFailure, failure } from './failures.js'
import { idleMs, IdleConnections } from './idle-connections.js'
import { LoginConnections } from './login-connections.js'

export interface PoolSettings extends ConnectionSettings {
  readonly maxConnections: number
}

/** The connections to one origin, and the requests that wait for one. */
export class Pool implements ConnectionOwner, Holder {
  private readonly connector: Connector
  private readonly settings: PoolSettings
  private readonly onUnused: (pool: Pool) => void
  private readonly idle = new IdleConnections(() => this.checkUse())
  private readonly logins = new LoginConnections()
  /** In the order in which they came. Whichever leaves frees its place at once. */
  private readonly queue = new Set<Delivery>()
  /** Connections that are being opened, and for whom. */
  private readonly opening = new Map<Connection, Delivery>()
  /** Connections that will be free in a moment, if nothing comes behind their responses. */
  private readonly settling = new Set<Connection>()
  private count = 0
  /** Connections that are being opened for one request only, which has lost its own. */
  private readonly retries = new Map<Connection, Delivery>()
  /** Nothing has been going on for a while: the next request goes through another pool. */
  isForgotten = false
  /** How many clients would use a kept connection. */
  private users = 0

  /** `onUnused` is called once nothing has been going on for a while. */
  constructor(connector: Connector, settings: PoolSettings, onUnused: (pool: Pool) => void) {
    this.connector = connector
    this.settings = settings
    this.onUnused = onUnused
  }

  get host(): string {
    return this.connector.host
  }

  send(delivery: Delivery): void {
    const connection = this.logins.take(delivery.request.clientConnection) ?? this.idle.take()
    if (connection !== undefined) return connection.send(delivery)
    delivery.holder = this
    if (this.logins.await(delivery)) return
    if (this.isFull && this.waiting >= this.settling.size) this.logins.endOldest()
    const { isFull } = this
    if (isFull && this.waiting >= delivery.request.maxQueue) {
      delivery.holder = undefined
      return delivery.failSoon(failure('queue-full', false, 'too many requests wait for a connection'))
    }
    this.queue.add(delivery)
    if (!isFull && this.waiting > this.settling.size) this.open(delivery)
  }

  /** One more client sends requests. */
  join(): this {
    this.users += 1
    return this
  }

  /** A client sends no more: ends the connections that carry nothing. */
  leave(): void {
    this.users -= 1
    this.idle.clear()
    this.logins.clear()
  }

  drop(delivery: Delivery): void {
    this.logins.leave(delivery)
    if (!this.queue.delete(delivery)) return giveUp(this.retries, delivery)
    // Nobody is left for whom it would be opened.
    if (this.queue.size < this.opening.size) giveUp(this.opening, delivery)
  }

  /** Nothing is read for it yet. */
  pause(): void {}
  resume(): void {}

  onSettling(connection: Connection): void {
    if (connection.hasLogin) this.logins.settle(connection)
    else this.settling.add(connection)
  }

  onFree(connection: Connection): void {
    this.settling.delete(connection)
    const retry = this.retries.get(connection)
    this.retries.delete(connection)
    this.opening.delete(connection)
    if (retry !== undefined) return connection.send(retry)
    if (connection.hasLogin) return this.freeLogin(connection)
    const next = this.queue.values().next().value
    if (next === undefined) return this.rest(connection)
    this.queue.delete(next)
    connection.send(next)
  }

  onGone(connection: Connection, reason: Failure, lost: Delivery | undefined): void {
    this.count -= 1
    this.settling.delete(connection)
    this.idle.forget(connection)
    this.queueAgain(this.logins.takeAwaiting(connection))
    this.logins.forget(connection)
    this.failOpener(connection, reason)
    if (lost !== undefined) this.lose(lost, reason, connection)
    this.openForNext()
    if (this.count === 0) this.idle.wake()
  }

  private get isFull(): boolean {
    return this.count >= this.settings.maxConnections
  }

  /** The connection that a request has waited for is gone, and its login with it. */
  private queueAgain(delivery: Delivery | undefined): void {
    if (delivery !== undefined) this.queue.add(delivery)
  }

  /** Those for whom no connection is being opened. */
  private get waiting(): number {
    return this.queue.size - this.opening.size
  }

  private open(delivery: Delivery, openers: Map<Connection, Delivery> = this.opening): void {
    this.count += 1
    try {
      openers.set(new Connection(this.connector, this, this.settings), delivery)
    } catch (error) {
      this.count -= 1
      this.queue.delete(delivery)
      delivery.failSoon(connectFailure(error as Error))
    }
  }

  /** A place is free for a connection. */
  private openForNext(): void {
    if (this.waiting <= this.settling.size || this.isFull) return
    const openers = new Set(this.opening.values())
    for (const delivery of this.queue) {
      if (openers.has(delivery)) continue
      this.open(delivery)
      break
    }
  }

  private rest(connection: Connection): void {
    const milliseconds = idleMs(connection.keepAliveHint)
    if (milliseconds === 0 || this.users === 0) return connection.destroy()
    connection.client = undefined
    connection.rest()
    this.idle.put(connection, milliseconds)
  }

  /** The server's own limit, the end of the client connection, or others that find no place, end it. */
  private freeLogin(connection: Connection): void {
    const next = this.logins.takeAwaiting(connection)
    if (next !== undefined) return connection.send(next)
    if (this.users === 0) return connection.destroy()
    connection.rest()
    this.logins.keep(connection, connection.client)
    if (this.isFull && this.waiting > this.settling.size) this.logins.endOldest()
  }

  /** There is no connection for them. They may have got another meanwhile. */
  private failOpener(connection: Connection, reason: Failure): void {
    const opener = this.opening.get(connection)
    const retry = this.retries.get(connection)
    this.opening.delete(connection)
    this.retries.delete(connection)
    if (opener !== undefined && this.queue.delete(opener)) opener.fail({ ...reason, maybeHeard: false })
    retry?.fail({ ...reason, maybeHeard: true })
  }

  /**
   * A kept connection may have been closed while the request was on its way, and it was never heard. Once: the connection
   * for it is fresh.
   */
  private lose(lost: Delivery, reason: Failure, connection: Connection): void {
    const isStale = reason.kind === 'reset' && connection.isStale
    if (!isStale || !lost.isRepeatable) return lost.fail(reason)
    lost.holder = this
    this.open(lost, this.retries)
  }

  private checkUse(): void {
    if (this.count > 0 || this.queue.size > 0) return
    this.isForgotten = true
    this.onUnused(this)
  }
}

/** Ends the connection that is being opened for a request. */
function giveUp(openers: ReadonlyMap<Connection, Delivery>, delivery: Delivery): void {
  for (const [connection, opener] of openers) {
    if (opener === delivery) connection.destroy()
  }
}
