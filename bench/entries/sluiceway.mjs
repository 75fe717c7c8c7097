import { passthroughProxy } from '../../dist/esm/passthrough-proxy.js'
import { expressServer } from './express-server.mjs'

/** Its default refuses the 1153rd request at once with 503; the peers let them all wait. */
const MAX_QUEUE = 10_000

export function createServer(upstream, maxConnections) {
  return expressServer((app) => app.use(passthroughProxy(upstream, { maxConnections, maxQueue: MAX_QUEUE })))
}
