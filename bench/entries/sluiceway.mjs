import { Agent } from 'undici'
import { passthroughProxy } from '../../dist/esm/passthrough-proxy.js'
import { expressServer } from './express-server.mjs'

const BUILT_IN = 128

export function createServer(upstream, connections) {
  // The built-in pool has a fixed size; more connections are a dispatcher of the application's.
  const options = connections > BUILT_IN ? { dispatcher: new Agent({ connections, pipelining: 1 }) } : {}
  return expressServer((app) => app.use(passthroughProxy(upstream, options)))
}
