import { LinkedList } from '../../../shared/linked-list.js'
import { isRepeatable } from '../repeatable.js'
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
  /** The waiting requests, in the order in which they came. One that leaves frees its place at once. */
  private readonly queue = new LinkedList<Delivery>()
  /** The connections that are being opened, each with the request for which it is opened. */
  private readonly opening = new Map<Connection, Delivery>()
  /** The number of connections that will be free in a moment, if no bytes follow their responses. */
  private settling = 0
  private count = 0
  /** The connections that are being opened for a single request, which has lost its own connection. */
  private readonly retries = new Map<Connection, Delivery>()
  /** True once the pool has been unused for a while: the next request goes through another pool. */
  isForgotten = false
  /** The number of clients that may use a kept connection. */
  private users = 0

  /** `onUnused` is called once the pool has been unused for a while. */
  constructor(connector: Connector, settings: PoolSettings, onUnused: (pool: Pool) => void) {
    this.connector = connector
    this.settings = settings
    this.onUnused = onUnused
    // A pool is forgotten after its last connection. One whose only request cannot be sent never has one.
    this.idle.wake()
  }

  get host(): string {
    return this.connector.host
  }

  send(delivery: Delivery): void {
    const connection = this.logins.take(delivery.request.clientConnection) ?? this.takeIdle(delivery)
    if (connection !== undefined) return connection.send(delivery)
    delivery.holder = this
    if (this.logins.reserve(delivery)) return
    if (this.isFull && this.waiting >= this.settling) this.logins.endOldest()
    const { isFull } = this
    if (isFull && this.waiting >= delivery.request.maxQueue) {
      delivery.holder = undefined
      return delivery.failSoon(failure('queue-full', false, 'too many requests wait for a connection'))
    }
    this.queue.add(delivery)
    if (!isFull && this.waiting > this.settling) this.open(delivery)
  }

  /**
   * Takes an idle connection. An upgrade gets a new one if there is room, as from a client: servers such as engine.io
   * judge by the bytes that a connection has carried whether anything has answered the upgrade.
   */
  private takeIdle({ request }: Delivery): Connection | undefined {
    return request.upgrade === undefined || this.isFull ? this.idle.take() : undefined
  }

  /** Adds a client that sends requests. */
  join(): this {
    this.users += 1
    return this
  }

  /** Removes a client that sends no more, and ends the idle connections. */
  leave(): void {
    this.users -= 1
    this.idle.clear()
    this.logins.clear()
  }

  drop(delivery: Delivery): void {
    this.logins.leave(delivery)
    if (!this.queue.delete(delivery)) return giveUp(this.retries, delivery)
    // No waiting request is left for the connection.
    if (this.queue.size < this.opening.size) giveUp(this.opening, delivery)
  }

  /** Does nothing, as no response is being read yet. */
  pause(): void {}
  resume(): void {}

  onSettling(connection: Connection): void {
    if (connection.hasLogin) this.logins.settle(connection)
    else this.noteSettling(connection, true)
  }

  onFree(connection: Connection): void {
    this.noteSettling(connection, false)
    const retry = this.retries.get(connection)
    this.retries.delete(connection)
    this.endOpening(connection)
    if (retry !== undefined) return connection.send(retry)
    // A new one is used all the same: with a method that changes for each connection, others would be opened for ever.
    if (!connection.isNew && connection.isOutdated) return connection.destroy()
    if (connection.hasLogin) return this.freeLogin(connection)
    const next = this.queue.first
    if (next === undefined) return this.rest(connection)
    this.queue.delete(next)
    connection.send(next)
  }

  onGone(connection: Connection, reason: Failure, lost: Delivery | undefined): void {
    this.count -= 1
    this.noteSettling(connection, false)
    this.idle.forget(connection)
    this.queueAgain(this.logins.takeAwaiting(connection))
    this.logins.forget(connection)
    this.failOpener(connection, reason)
    if (lost !== undefined) this.retryOrFail(lost, reason, connection)
    this.openForWaiting()
    if (this.count === 0) this.idle.wake()
  }

  private noteSettling(connection: Connection, isSettling: boolean): void {
    if (connection.isSettling === isSettling) return
    connection.isSettling = isSettling
    this.settling += isSettling ? 1 : -1
  }

  private get isFull(): boolean {
    return this.count >= this.settings.maxConnections
  }

  /** Queues a request again whose connection is gone, together with its login. */
  private queueAgain(delivery: Delivery | undefined): void {
    if (delivery !== undefined) this.queue.add(delivery)
  }

  /** The number of waiting requests for which no connection is being opened. */
  private get waiting(): number {
    return this.queue.size - this.opening.size
  }

  private open(delivery: Delivery, openers: Map<Connection, Delivery> = this.opening): void {
    this.count += 1
    try {
      openers.set(new Connection(this.connector, this, this.settings), delivery)
      delivery.hasOpening = openers === this.opening
    } catch (error) {
      this.count -= 1
      this.queue.delete(delivery)
      delivery.failSoon(connectFailure(error as Error))
    }
  }

  /** Opens connections for the waiting requests while there is room: a request that fails at once leaves it to the next. */
  private openForWaiting(): void {
    while (this.waiting > this.settling && !this.isFull) this.open(this.nextToOpen())
  }

  /**
   * Returns the first waiting request for which no connection is being opened; there always is one. Each request knows
   * this of itself: thousands may wait, and thousands of connections may be lost together.
   */
  private nextToOpen(): Delivery {
    let next = this.queue.first as Delivery
    while (next.hasOpening) next = next.after as Delivery
    return next
  }

  /** Forgets that a connection is being opened. Returns the request for which it was. */
  private endOpening(connection: Connection): Delivery | undefined {
    const opener = this.opening.get(connection)
    if (opener === undefined) return undefined
    opener.hasOpening = false
    this.opening.delete(connection)
    return opener
  }

  private rest(connection: Connection): void {
    const milliseconds = idleMs(connection.keepAliveHint)
    if (milliseconds === 0 || this.users === 0) return connection.destroy()
    connection.client = undefined
    connection.rest()
    this.idle.put(connection, milliseconds)
  }

  /**
   * Passes a login connection on. It ends by its server's limit, with its client connection, or if others need the
   * room.
   */
  private freeLogin(connection: Connection): void {
    const next = this.logins.takeAwaiting(connection)
    if (next !== undefined) return connection.send(next)
    if (this.users === 0) return connection.destroy()
    connection.rest()
    this.logins.keep(connection)
    if (this.isFull && this.waiting > this.settling) this.logins.endOldest()
  }

  /**
   * Fails the request for which a connection could not be opened, unless it has got another one. A request that was to
   * be sent once more may as well be sent elsewhere.
   */
  private failOpener(connection: Connection, reason: Failure): void {
    const opener = this.endOpening(connection)
    const retry = this.retries.get(connection)
    this.retries.delete(connection)
    if (opener !== undefined && this.queue.delete(opener)) opener.fail(reason)
    retry?.fail(reason)
  }

  /**
   * Fails a request that was lost with its connection. If that had been kept, and was closed before it saw the request,
   * the request is sent once more, over a new connection.
   *
   * The same if its first bytes begin no response: most likely they were sent behind the response before, and came
   * after this request was written. Node's client, undici, Go and nginx fail the innocent request. If the server has
   * answered it with such bytes, the new connection shows it, and the request fails then.
   */
  private retryOrFail(lost: Delivery, reason: Failure, connection: Connection): void {
    const isOfConnection = reason.kind === 'reset' || (reason.kind === 'malformed' && reason.maybeHeard)
    if (!isOfConnection || !connection.isStale || !isRepeatable(lost.request)) return lost.fail(reason)
    lost.holder = this
    this.open(lost, this.retries)
  }

  private checkUse(): void {
    if (this.count > 0) return
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
