import http2Proxy from 'http2-proxy'
import { expressServer, keepAliveAgent } from './express-server.mjs'

export function createServer(upstream, connections) {
  const { protocol, hostname, port } = new URL(upstream)
  const agent = keepAliveAgent(connections, upstream)
  const onReq = (_req, options) => void Object.assign(options, { agent })
  const options = { protocol, hostname, port, onReq }
  return expressServer((app) =>
    app.use((req, res, next) => http2Proxy.web(req, res, options, (error) => error && next(error))),
  )
}
