// Set to stream: by default it holds each body in memory, at most 1 MB, and opens a connection for each request.
import proxy from 'express-http-proxy'
import { expressServer, keepAliveAgent } from './express-server.mjs'

export function createServer(upstream) {
  const agent = keepAliveAgent()
  const proxyReqOptDecorator = (options) => Object.assign(options, { agent })
  return expressServer((app) => app.use(proxy(upstream, { parseReqBody: false, proxyReqOptDecorator })))
}
