// The one entry without Express: fastify's own proxy, with its defaults.
import httpProxy from '@fastify/http-proxy'
import fastify from 'fastify'

export async function createServer(upstream, connections) {
  const app = fastify()
  await app.register(httpProxy, { upstream, undici: { connections, pipelining: 1 } })
  await app.ready()
  return app.server
}
