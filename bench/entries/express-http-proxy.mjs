// Set to stream: by default it holds each body in memory, at most 1 MB, and says `Connection: close` to the upstream.
import proxy from 'express-http-proxy'
import { expressServer, keepAliveAgent } from './express-server.mjs'

export function createServer(upstream, connections) {
  const agent = keepAliveAgent(connections, upstream)
  const proxyReqOptDecorator = (options) => {
    options.headers.connection = 'keep-alive'
    return Object.assign(options, { agent })
  }
  return expressServer((app) => app.use(proxy(upstream, { parseReqBody: false, proxyReqOptDecorator })))
}
