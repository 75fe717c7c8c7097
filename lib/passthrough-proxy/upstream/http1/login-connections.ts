import type { ClientConnection } from '../upstream.js'
import type { Connection } from './connection.js'
import type { Delivery } from './delivery.js'

/** The connections that serve one client connection each, as a login belongs to them. */
export class LoginConnections {
  private readonly byClient = new Map<ClientConnection, Connection>()
  private readonly clients = new Map<Connection, ClientConnection>()
  private readonly ends = new Map<Connection, () => void>()
  /** Those that will be idle in a moment, by their client connections. */
  private readonly settling = new Map<ClientConnection, Connection>()
  /** The requests that wait for one of those: the next step of a login comes at once, and belongs to no other. */
  private readonly awaited = new Map<Connection, Delivery>()

  /** The idle connection that belongs to a client connection. */
  take(client: ClientConnection | undefined): Connection | undefined {
    if (client === undefined || this.byClient.size === 0) return undefined
    const connection = this.byClient.get(client)
    if (connection !== undefined) this.byClient.delete(client)
    return connection
  }

  /** The connection has read a response to its end, and will be idle in a moment. */
  settle(connection: Connection): void {
    const client = this.clients.get(connection) ?? connection.client
    if (client !== undefined) this.settling.set(client, connection)
  }

  /** Has a request wait for the connection of its client, where that is free in a moment. */
  await(delivery: Delivery): boolean {
    const { clientConnection: client } = delivery.request
    const connection = client && this.settling.get(client)
    if (connection === undefined || this.awaited.has(connection)) return false
    this.awaited.set(connection, delivery)
    return true
  }

  /** The request that waits for a connection, which is settled now, or gone. */
  takeAwaiting(connection: Connection): Delivery | undefined {
    for (const [client, settling] of this.settling) {
      if (settling === connection) this.settling.delete(client)
    }
    const delivery = this.awaited.get(connection)
    this.awaited.delete(connection)
    return delivery
  }

  /** A request waits no more. */
  leave(delivery: Delivery): void {
    for (const [connection, awaiting] of this.awaited) {
      if (awaiting === delivery) this.awaited.delete(connection)
    }
  }

  /** Ends the one that has been idle for longest, to make place for others. */
  endOldest(): void {
    const [oldest] = this.byClient.values()
    oldest?.destroy()
  }

  /** Keeps an idle connection for its client connection, and ends it with that. */
  keep(connection: Connection, client: ClientConnection | undefined): void {
    const owner = this.clients.get(connection) ?? client
    // Two at once of one client connection: one is enough.
    if (owner === undefined || owner.destroyed || this.byClient.has(owner)) return connection.destroy()
    this.byClient.set(owner, connection)
    if (!this.clients.has(connection)) this.bind(connection, owner)
  }

  /** Forgets one that has ended. */
  forget(connection: Connection): void {
    const client = this.clients.get(connection)
    if (client === undefined) return
    client.off('close', this.ends.get(connection) as () => void)
    this.clients.delete(connection)
    this.ends.delete(connection)
    if (this.byClient.get(client) === connection) this.byClient.delete(client)
  }

  /** Ends the idle ones. */
  clear(): void {
    for (const connection of this.byClient.values()) connection.destroy()
  }

  private bind(connection: Connection, client: ClientConnection): void {
    const end = (): void => connection.destroy()
    this.clients.set(connection, client)
    this.ends.set(connection, end)
    client.once('close', end)
  }
}
