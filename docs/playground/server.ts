import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import express from 'express'
import { attach } from 'sluiceway'
import { bodyRoutes } from './panels/body.js'
import { linesRoutes } from './panels/lines.js'
import { proxyRoutes } from './panels/proxy.js'
import { uploadRoutes } from './panels/upload.js'
import { reportFailure } from './report-failure.js'
import { createUpstream, type Upstream } from './upstream.js'

/** This file runs as build/docs/playground/server.js; the page itself is served as it stands in the source. */
const page = fileURLToPath(new URL('../../../docs/playground/public', import.meta.url))

export interface Playground {
  /** Serves the page and the panels' routes. Not listening yet. */
  readonly server: Server
  /** The server behind the proxy, listening on a free port of 127.0.0.1. */
  readonly upstream: Upstream
}

/** Creates both servers of the playground. The caller listens, and closes both. */
export async function createPlayground(): Promise<Playground> {
  const upstream = await createUpstream()
  const app = express()
  app.disable('x-powered-by')
  app.use(express.static(page))
  app.use('/lines', linesRoutes())
  app.use('/upload', uploadRoutes())
  app.use('/body', bodyRoutes(upstream.url))
  app.use('/proxy', proxyRoutes(upstream))
  app.use(reportFailure)

  const server = createServer(app)
  attach(server, app)
  return { server, upstream }
}

if (import.meta.filename === process.argv[1]) {
  const { server, upstream } = await createPlayground()
  server.listen(Number(process.env['PORT'] ?? 3000), process.env['HOST'] ?? '127.0.0.1', () => {
    const { address, port } = server.address() as AddressInfo
    console.log(`sluiceway playground: http://${address === '127.0.0.1' ? 'localhost' : address}:${port}`)
    console.log(`upstream behind it:   ${upstream.url}`)
  })
}
