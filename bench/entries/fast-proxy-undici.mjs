// fast-proxy on undici, with as many connections as the others.
import fastProxy from 'fast-proxy'
import { expressServer } from './express-server.mjs'

export function createServer(upstream, connections) {
  const proxy = fastProxy({ base: upstream, undici: { connections, pipelining: 1 } })
  return expressServer((app) => app.use((req, res) => proxy.proxy(req, res, req.url, {})))
}
