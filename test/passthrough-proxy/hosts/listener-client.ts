import { createServer, type RequestListener, type ServerOptions } from 'node:http'
import { RawClient } from '../../support/clients/raw-client.js'
import { listen } from '../../support/servers/servers.js'

/** Connects a client to a proxy that is called without `next`. */
export async function clientOf(listener: RequestListener, options: ServerOptions = {}): Promise<RawClient> {
  return RawClient.connect((await listen(createServer(options, listener))).port)
}
