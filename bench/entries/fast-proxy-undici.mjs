// fast-proxy on undici, with as many connections as the others.
import fastProxy from 'fast-proxy'
import { expressServer } from './express-server.mjs'

export function createServer(upstream) {
  const { proxy } = fastProxy({ base: upstream, undici: { connections: 128, pipelining: 1 } })
  return expressServer((app) => app.use((req, res) => proxy(req, res, req.url, {})))
}
