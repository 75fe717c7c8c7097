// passthroughProxy without Express: nothing but node:http in front of it.
import { createServer as createHttpServer } from 'node:http'
import { passthroughProxy } from '../../dist/esm/passthrough-proxy.js'

export function createServer(upstream, maxConnections) {
  const proxy = passthroughProxy(upstream, { maxConnections })
  return createHttpServer((req, res) => proxy(req, res, () => res.writeHead(502).end()))
}
