import { passthroughProxy } from '../../dist/esm/passthrough-proxy.js'
import { expressServer } from './express-server.mjs'

export function createServer(upstream, maxConnections) {
  return expressServer((app) => app.use(passthroughProxy(upstream, { maxConnections })))
}
