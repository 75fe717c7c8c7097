import type { RawClient } from '../../../support/clients/raw-client.js'
import { type ClientOptions, createClient, type Upstream } from '../../../support/http1/http1-client.js'
import { ask, type RecordingReceiver } from '../../../support/http1/upstream-receiver.js'
import {
  answer,
  scriptedUpstream,
  type ScriptedUpstream,
} from '../../../support/servers/scripted-upstream.js'
import { closeServers } from '../../../support/servers/servers.js'
// A server that a test plays, asked by the proxy's own client.
import { turns } from '../../../support/time/turns.js'

export const settings: ClientOptions = {
  maxConnections: 2,
  connectTimeoutMs: 2000,
  maxResponseHeadBytes: 16_384,
}

/** Those of a pool of one connection. */
export const ofOne: ClientOptions = { ...settings, maxConnections: 1 }

/** Waits some turns of the event loop: a connection is checked once more after an answer before it is reused. */
export const turn = (): Promise<void> => turns(3)

/** What each test of the client gets anew. */
export interface Given {
  readonly server: ScriptedUpstream
  readonly origin: string
  readonly upstream: Upstream
}

/** Gives each test of a suite a server that it plays itself, and a client; both are closed behind it. */
export function giveEach(options: ClientOptions, take: (given: Given) => void): void {
  let upstream: Upstream
  beforeEach(async () => {
    const server = await scriptedUpstream()
    upstream = createClient(options)
    take({ server, origin: server.url, upstream })
  })
  afterEach(() => upstream.close())
  afterEach(closeServers)
}

export type AskedRequest = Partial<Parameters<typeof ask>[1]>

/** A request that has arrived: its receiver, and the server's side of its connection. */
export interface Arrived {
  readonly got: RecordingReceiver
  readonly connection: RawClient
  readonly head: string
}

/** Asks, and gives the server's side of it once the head is there. */
export async function askServer(
  upstream: Upstream,
  server: ScriptedUpstream,
  request: AskedRequest = {},
  connection?: RawClient,
): Promise<Arrived> {
  const got = ask(upstream, { origin: server.url, ...request })
  const side = connection ?? (await server.connection())
  return { got, connection: side, head: await side.untilText('\r\n\r\n') }
}

/** A connection that has carried a request. */
export async function usedConnection(
  upstream: Upstream,
  server: ScriptedUpstream,
  origin: string,
): Promise<RawClient> {
  const { got, connection } = await askServer(upstream, server, { origin })
  connection.write(answer())
  await got.ended()
  await turn()
  return connection
}
