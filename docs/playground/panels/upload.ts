import express, { type ErrorRequestHandler, type RequestHandler, Router } from 'express'
import { maxBytes } from 'sluiceway'
import type { Traces } from '../traces.js'

const limit = '1mb'

/** An upload of at most 1 MB, with maxBytes and with Express's own limit. Every answer says how long it took. */
export function uploadRoutes(traces: Traces): Router {
  const countBytes: RequestHandler = async (req, res) => {
    let received = 0
    for await (const chunk of req) received += chunk.length
    traces.of(req).note('gateway', 'read', { received })
    res.status(201).json({ received, afterMs: elapsed(res.locals) })
  }

  const explainRefusal: ErrorRequestHandler = (error, req, res, next) => {
    if (res.headersSent || error.status !== 413) {
      next(error)
      return
    }
    const { message, code, limit: allowed, received = 0 } = error
    traces.of(req).note('gateway', 'refused', { received, code })
    res.status(413).json({ error: message, code, limit: allowed, received, afterMs: elapsed(res.locals) })
  }

  const routes = Router()
  routes.post('/', startClock, maxBytes(limit), countBytes)
  routes.post('/without', startClock, express.raw({ type: () => true, limit }), countBuffered)
  routes.use(explainRefusal)
  return routes
}

const countBuffered: RequestHandler = (req, res) => {
  res.status(201).json({ received: req.body.length, afterMs: elapsed(res.locals) })
}

const startClock: RequestHandler = (req, res, next) => {
  res.locals['startedAt'] = performance.now()
  next()
}

function elapsed(locals: Record<string, unknown>): number {
  return performance.now() - Number(locals['startedAt'])
}
