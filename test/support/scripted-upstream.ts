import net from 'node:net'

import { RawClient } from './raw-client.js'
import { listen } from './servers.js'

/** A server that answers nothing by itself: a test reads what arrived, byte for byte, and writes what it likes. */
export interface ScriptedUpstream {
  readonly url: string
  readonly port: number
  /** How many connections it has seen. */
  readonly accepted: number
  /** Takes the connections that `connection` has not given yet. */
  takeNew(): RawClient[]
  /** Waits for the next connection, in the order in which they were opened. */
  connection(): Promise<RawClient>
}

/** Starts an upstream on a plain socket. `closeServers` ends it. */
export async function scriptedUpstream(): Promise<ScriptedUpstream> {
  const arrived: RawClient[] = []
  const waiting: ((connection: RawClient) => void)[] = []
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    const connection = RawClient.over(socket)
    const waiter = waiting.shift()
    if (waiter === undefined) arrived.push(connection)
    else waiter(connection)
  })
  const { url, port, connections } = await listen(server)
  return {
    url,
    port,
    get accepted() {
      return connections.length
    },
    takeNew: () => arrived.splice(0),
    connection() {
      const connection = arrived.shift()
      return connection === undefined
        ? new Promise((resolve) => waiting.push(resolve))
        : Promise.resolve(connection)
    },
  }
}

/** An answer with Content-Length, as text for the wire. */
export function answer(body = 'ok', head = ''): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${head}\r\n${body}`
}
