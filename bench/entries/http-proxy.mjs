import httpProxy from 'http-proxy'
import { expressServer, keepAliveAgent } from './express-server.mjs'

export function createServer(upstream, connections) {
  const proxy = httpProxy.createProxyServer({
    target: upstream,
    agent: keepAliveAgent(connections, upstream),
  })
  return expressServer((app) => app.use((req, res, next) => proxy.web(req, res, {}, next)))
}
