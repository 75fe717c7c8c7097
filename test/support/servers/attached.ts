import { createServer, type RequestListener } from 'node:http'
import { attach } from 'sluiceway'
import { listen, type TestServer } from './servers.js'

/** Starts an app on its own server, with `attach`. `closeServers` ends it. */
export function attached(app: RequestListener): Promise<TestServer> {
  const server = createServer(app)
  attach(server, app)
  return listen(server)
}
