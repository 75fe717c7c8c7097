import type { ClientConnection } from '../upstream.js'
import type { Connection } from './connection.js'
import type { Delivery } from './delivery.js'

/** A connection that carries the login of a client connection. */
interface Login {
  readonly connection: Connection
  readonly client: ClientConnection
  /** Ends the connection together with that of its client. */
  readonly end: () => void
  /** The request that waits for it: the next step of a login comes at once, and needs the same connection. */
  awaiting: Delivery | undefined
}

/** The connections that each serve one client connection, because they carry its login. */
export class LoginConnections {
  private readonly logins = new Map<Connection, Login>()
  /** Those that are idle, by their client connections. The first one has been idle for longest. */
  private readonly idle = new Map<ClientConnection, Login>()
  /** Those that will be idle in a moment, by their client connections. */
  private readonly settling = new Map<ClientConnection, Login>()

  /** Takes the idle connection of a client connection, if there is one. */
  take(client: ClientConnection | undefined): Connection | undefined {
    if (client === undefined || this.idle.size === 0) return undefined
    const login = this.idle.get(client)
    if (login !== undefined) this.idle.delete(client)
    return login?.connection
  }

  /** Notes a connection that has read a response to its end, and will be idle in a moment. */
  settle(connection: Connection): void {
    const login = this.logins.get(connection) ?? this.bind(connection)
    if (login !== undefined) this.settling.set(login.client, login)
  }

  /**
   * Reserves the connection of its client for a request if that will be free in a moment. Returns true if the request
   * waits for it.
   */
  reserve(delivery: Delivery): boolean {
    const { clientConnection: client } = delivery.request
    const login = client && this.settling.get(client)
    if (login === undefined || login.awaiting !== undefined) return false
    login.awaiting = delivery
    return true
  }

  /** Takes the request that waits for a connection, which is now idle or gone. */
  takeAwaiting(connection: Connection): Delivery | undefined {
    const login = this.logins.get(connection)
    if (login === undefined) return undefined
    if (this.settling.get(login.client) === login) this.settling.delete(login.client)
    const { awaiting } = login
    login.awaiting = undefined
    return awaiting
  }

  /** Forgets a request that waits no more. */
  leave(delivery: Delivery): void {
    for (const login of this.logins.values()) {
      if (login.awaiting === delivery) login.awaiting = undefined
    }
  }

  /** Ends the connection that has been idle for longest, to make room for others. */
  endOldest(): void {
    const [oldest] = this.idle.values()
    oldest?.connection.destroy()
  }

  /** Keeps an idle connection for its client connection. */
  keep(connection: Connection): void {
    const login = this.logins.get(connection)
    // One connection is enough for each client connection.
    if (login === undefined || login.client.destroyed || this.idle.has(login.client)) connection.destroy()
    else this.idle.set(login.client, login)
  }

  /** Forgets a connection that has ended. */
  forget(connection: Connection): void {
    const login = this.logins.get(connection)
    if (login === undefined) return
    login.client.off('close', login.end)
    this.logins.delete(connection)
    if (this.idle.get(login.client) === login) this.idle.delete(login.client)
  }

  /** Ends the idle connections. */
  clear(): void {
    for (const { connection } of this.idle.values()) connection.destroy()
  }

  /** Binds a connection to that of its client, and ends it when that closes. A host may have no such connection. */
  private bind(connection: Connection): Login | undefined {
    const { client } = connection
    if (client === undefined) return undefined
    const login = { connection, client, end: () => connection.destroy(), awaiting: undefined }
    this.logins.set(connection, login)
    client.once('close', login.end)
    return login
  }
}
