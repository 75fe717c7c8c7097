import { createServer, type Server } from 'node:http'
import express from 'express'
import { attach } from 'sluiceway'
import { Connections } from './connections.js'
import { pageRoutes } from './page.js'
import { bodyRoutes } from './panels/body.js'
import { changedRoutes } from './panels/changed.js'
import { commandRoutes } from './panels/command.js'
import { deployRoutes } from './panels/deploy.js'
import { duplexRoutes } from './panels/duplex.js'
import { eventsRoutes } from './panels/events.js'
import { proxyRoutes } from './panels/proxy.js'
import { socketRoutes } from './panels/socket.js'
import { uploadRoutes } from './panels/upload.js'
import { reportFailure } from './report-failure.js'
import { traceRequests, traceRoutes } from './trace-requests.js'
import { Traces } from './traces.js'
import { createUpstream, type Upstream } from './upstream.js'

export interface Playground {
  /** Serves the page and the panels' routes. Not listening yet. */
  readonly server: Server
  /** The server behind the proxy, listening on a free port of 127.0.0.1. */
  readonly upstream: Upstream
}

/** Creates both servers of the playground. The caller listens, and closes both. */
export async function createPlayground(): Promise<Playground> {
  const traces = new Traces()
  const upstream = await createUpstream(traces)
  const app = express()
  app.disable('x-powered-by')
  const server = createServer(app)
  attach(server, app)

  app.use(await pageRoutes())
  app.use('/trace', traceRoutes(traces))
  app.use(traceRequests(traces, new Connections(server)))
  app.use('/events', eventsRoutes())
  app.use('/command', commandRoutes(traces))
  app.use('/deploy', deployRoutes(traces))
  app.use('/upload', uploadRoutes(traces))
  app.use('/body', bodyRoutes(traces, upstream.url))
  app.use('/proxy', proxyRoutes(traces, upstream))
  app.use('/changed', changedRoutes(traces, upstream.url))
  app.use('/socket', socketRoutes(traces, upstream.url))
  app.use('/duplex', duplexRoutes(traces, upstream.url))
  app.use(reportFailure)
  return { server, upstream }
}
