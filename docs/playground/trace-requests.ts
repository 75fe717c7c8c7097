import { type RequestHandler, Router } from 'express'
import type { Connections } from './connections.js'
import { now, type Traces } from './traces.js'

/** How long the page waits for what a run has left: the connection after a 413 may linger for two seconds. */
const patienceMs = 2500

/** Notes each traced request when its head has arrived, when its answer is out, and when its connection closes. */
export function traceRequests(traces: Traces, connections: Connections): RequestHandler {
  return (req, res, next) => {
    const trace = traces.of(req)
    const { method, path, rawHeaders, socket } = req
    const about = { path, ...connections.place(req) }
    const bodyBytes = connections.countBody(req)
    trace.note('gateway', 'request', { method, headers: rawHeaders, ...about })
    trace.holdUntil(res, 'close')
    res.once('finish', () => {
      trace.note('gateway', 'answered', { status: res.statusCode, bodyBytes: bodyBytes(), ...about })
      if (res.shouldKeepAlive) return
      trace.holdUntil(socket, 'close')
      socket.once('close', () => trace.note('gateway', 'closed', { bodyBytes: bodyBytes(), ...about }))
    })
    res.once('close', () => {
      if (!res.writableFinished) trace.note('gateway', 'left', about)
    })
    next()
  }
}

/** The page compares clocks at /clock and fetches at /<run> what the server noted. */
export function traceRoutes(traces: Traces): Router {
  const routes = Router()
  routes.use((req, res, next) => {
    res.set('Cache-Control', 'no-store')
    next()
  })
  routes.get('/clock', (req, res) => {
    res.json({ now: now() })
  })
  routes.get('/:run', async (req, res) => {
    const moments = await traces.settled(req.params.run, patienceMs)
    if (moments !== undefined) res.json({ moments })
    else res.status(404).json({ error: 'the server knows nothing of this run', code: 'RUN_UNKNOWN' })
  })
  return routes
}
