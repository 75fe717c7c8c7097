import { createProxyMiddleware } from 'http-proxy-middleware'
import { expressServer, keepAliveAgent } from './express-server.mjs'

export function createServer(upstream, connections) {
  return expressServer((app) =>
    app.use(createProxyMiddleware({ target: upstream, agent: keepAliveAgent(connections, upstream) })),
  )
}
