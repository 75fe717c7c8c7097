// With its own defaults: an agent that keeps connections alive, on node:http.
import fastProxy from 'fast-proxy'
import { expressServer } from './express-server.mjs'

export function createServer(upstream, connections) {
  const proxy = fastProxy({ base: upstream, maxSockets: connections })
  return expressServer((app) => app.use((req, res) => proxy.proxy(req, res, req.url, {})))
}
