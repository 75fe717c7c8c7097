import compression from 'compression'
import { Router } from 'express'
import { autoFlush, passthroughProxy } from 'sluiceway'
import type { Traces } from '../traces.js'
import type { Upstream } from '../upstream.js'

/** Everything below /to/ goes to the upstream and back, through `compression` too. */
export function proxyRoutes(traces: Traces, upstream: Upstream): Router {
  const routes = Router()
  routes.get('/seen', (req, res) => {
    res.set('Cache-Control', 'no-store').json(upstream.seen)
  })
  const passOn = passthroughProxy(upstream.url, {
    onRequest: (outgoing, req) => traces.of(req).note('gateway', 'asked'),
    onResponse: ({ statusCode }, req) => traces.of(req).note('gateway', 'heard', { status: statusCode }),
  })
  routes.use('/to', compression(), autoFlush(), passOn)
  return routes
}
