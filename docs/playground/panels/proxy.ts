import compression from 'compression'
import { Router } from 'express'
import { autoFlush, passthroughProxy } from 'sluiceway'
import type { Upstream } from '../upstream.js'

/** Everything below /to/ goes to the upstream and back, through `compression` too. */
export function proxyRoutes(upstream: Upstream): Router {
  const routes = Router()
  routes.get('/seen', (req, res) => {
    res.set('Cache-Control', 'no-store').json(upstream.seen)
  })
  routes.use('/to', compression(), autoFlush(), passthroughProxy(upstream.url))
  return routes
}
