import net from 'node:net'
import { RawClient } from '../clients/raw-client.js'
import { waitFor } from '../time/waiting.js'
import { listen } from './servers.js'

/** A server that answers nothing by itself: a test reads the received bytes, and writes any answer. */
export interface ScriptedUpstream {
  readonly url: string
  readonly port: number
  /** How many connections it has seen. */
  readonly accepted: number
  /** Takes the connections that `connection` has not returned yet. */
  takeNew(): RawClient[]
  /** Waits for the next connection, in the order in which they were opened. */
  connection(): Promise<RawClient>
  /** Waits for the connection that brings `text`. An earlier one may carry nothing: undici 7 opens such connections for aborted requests. */
  connectionWith(text: string): Promise<RawClient>
  /** Stops listening; open connections stay. */
  stopListening(): void
}

/** Starts an upstream on a plain socket. `closeServers` ends it. */
export async function scriptedUpstream(): Promise<ScriptedUpstream> {
  const arrived: RawClient[] = []
  const waiting: ((connection: RawClient) => void)[] = []
  const offer = (opened: RawClient): void => {
    const waiter = waiting.shift()
    if (waiter === undefined) arrived.push(opened)
    else waiter(opened)
  }
  const server = net.createServer({ allowHalfOpen: true }, (socket) =>
    offer(RawClient.over(socket, 'the upstream')),
  )
  const { url, port, connections } = await listen(server)

  function connection(): Promise<RawClient> {
    const next = arrived.shift()
    if (next !== undefined) return Promise.resolve(next)
    return waitFor('a connection to the upstream', new Promise<RawClient>((resolve) => waiting.push(resolve)))
  }

  return {
    url,
    port,
    get accepted() {
      return connections.length
    },
    takeNew: () => arrived.splice(0),
    connection,
    connectionWith: (text) => firstWith(text, connection, offer),
    stopListening: () => void server.close(),
  }
}

/** The first connection of `next` that brings `text`; later ones are put back. */
async function firstWith(
  text: string,
  next: () => Promise<RawClient>,
  giveBack: (connection: RawClient) => void,
): Promise<RawClient> {
  const opened: RawClient[] = []
  const bringing: Promise<RawClient>[] = []
  let coming = next()
  for (;;) {
    const first = await Promise.race([coming.then(() => undefined), ...bringing])
    if (first !== undefined) {
      void coming.then(giveBack)
      const others = opened.filter((other) => other !== first && other.pending.length > 0)
      if (others.length > 0) throw new Error(`another request beside ${text}`)
      return first
    }
    const candidate = await coming
    opened.push(candidate)
    bringing.push(withText(candidate, text))
    coming = next()
  }
}

/** Never resolves if the connection ends without it. */
function withText(connection: RawClient, text: string): Promise<RawClient> {
  return connection
    .until((bytes) => (bytes.includes(text) ? connection : undefined), JSON.stringify(text))
    .catch(() => never)
}

const never = new Promise<RawClient>(() => {})

/** An answer with Content-Length, as text for the wire. */
export function answer(body = 'ok', head = ''): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${head}\r\n${body}`
}
