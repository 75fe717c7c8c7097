import type { ClientConnection } from '../upstream.js'
import type { Connection } from './connection.js'
import type { Delivery } from './delivery.js'

/** The connections that each serve one client connection, because they carry its login. */
export class LoginConnections {
  private readonly byClient = new Map<ClientConnection, Connection>()
  private readonly clients = new Map<Connection, ClientConnection>()
  private readonly ends = new Map<Connection, () => void>()
  /** The connections that will be idle in a moment, by their client connections. */
  private readonly settling = new Map<ClientConnection, Connection>()
  /**
   * The requests that wait for one of these: the next step of a login comes at once, and needs the same connection.
   */
  private readonly awaited = new Map<Connection, Delivery>()

  /** Takes the idle connection of a client connection, if there is one. */
  take(client: ClientConnection | undefined): Connection | undefined {
    if (client === undefined || this.byClient.size === 0) return undefined
    const connection = this.byClient.get(client)
    if (connection !== undefined) this.byClient.delete(client)
    return connection
  }

  /** Notes a connection that has read a response to its end, and will be idle in a moment. */
  settle(connection: Connection): void {
    const client = this.clients.get(connection) ?? connection.client
    if (client !== undefined) this.settling.set(client, connection)
  }

  /**
   * Makes a request wait for the connection of its client if that will be free in a moment. Returns true if it waits.
   */
  await(delivery: Delivery): boolean {
    const { clientConnection: client } = delivery.request
    const connection = client && this.settling.get(client)
    if (connection === undefined || this.awaited.has(connection)) return false
    this.awaited.set(connection, delivery)
    return true
  }

  /** Takes the request that waits for a connection, which is now idle or gone. */
  takeAwaiting(connection: Connection): Delivery | undefined {
    for (const [client, settling] of this.settling) {
      if (settling === connection) this.settling.delete(client)
    }
    const delivery = this.awaited.get(connection)
    this.awaited.delete(connection)
    return delivery
  }

  /** Forgets a request that waits no more. */
  leave(delivery: Delivery): void {
    for (const [connection, awaiting] of this.awaited) {
      if (awaiting === delivery) this.awaited.delete(connection)
    }
  }

  /** Ends the connection that has been idle for longest, to make room for others. */
  endOldest(): void {
    const [oldest] = this.byClient.values()
    oldest?.destroy()
  }

  /** Keeps an idle connection for its client connection, and ends it when that closes. */
  keep(connection: Connection, client: ClientConnection | undefined): void {
    const owner = this.clients.get(connection) ?? client
    // One connection is enough for each client connection.
    if (owner === undefined || owner.destroyed || this.byClient.has(owner)) return connection.destroy()
    this.byClient.set(owner, connection)
    if (!this.clients.has(connection)) this.bind(connection, owner)
  }

  /** Forgets a connection that has ended. */
  forget(connection: Connection): void {
    const client = this.clients.get(connection)
    if (client === undefined) return
    client.off('close', this.ends.get(connection) as () => void)
    this.clients.delete(connection)
    this.ends.delete(connection)
    if (this.byClient.get(client) === connection) this.byClient.delete(client)
  }

  /** Ends the idle connections. */
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
