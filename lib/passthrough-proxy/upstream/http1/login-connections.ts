import type { ClientConnection } from '../upstream.js'
import type { Connection } from './connection.js'

/** The connections that serve one client connection each, as a login belongs to them. */
export class LoginConnections {
  private readonly byClient = new Map<ClientConnection, Connection>()
  private readonly clients = new Map<Connection, ClientConnection>()
  private readonly ends = new Map<Connection, () => void>()

  /** The idle connection that belongs to a client connection. */
  take(client: ClientConnection | undefined): Connection | undefined {
    if (client === undefined || this.byClient.size === 0) return undefined
    const connection = this.byClient.get(client)
    if (connection !== undefined) this.byClient.delete(client)
    return connection
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
