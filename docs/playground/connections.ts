import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'

/** Which connection of a server a request came on, and how many came on it before. */
export interface Place {
  readonly connection: number
  readonly requestOnConnection: number
}

/** Numbers the connections of a server, and the requests on each, from 1. */
export class Connections {
  /** How many there have been. */
  count = 0
  private readonly numbers = new WeakMap<Socket, { readonly connection: number; requests: number }>()

  constructor(server: Server) {
    server.on('connection', (socket) => {
      this.count += 1
      this.numbers.set(socket, { connection: this.count, requests: 0 })
    })
  }

  /** Counts a request. Call it once for each. */
  place(req: IncomingMessage): Place {
    const known = this.numbers.get(req.socket) ?? { connection: 0, requests: 0 }
    known.requests += 1
    return { connection: known.connection, requestOnConnection: known.requests }
  }
}
