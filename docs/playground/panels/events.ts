import { setTimeout as sleep } from 'node:timers/promises'
import compression from 'compression'
import { type RequestHandler, Router } from 'express'
import { autoFlush } from 'sluiceway'
import { now } from '../traces.js'

const count = 8
const pauseMs = 100

/** The same handler on two routes. Both are compressed; only the first is flushed. */
export function eventsRoutes(): Router {
  const routes = Router()
  routes.get('/flushed', compression(), autoFlush(), sendEvents)
  routes.get('/held', compression(), sendEvents)
  return routes
}

/** Each event carries the time it was written, so that the page can tell how late it came. */
const sendEvents: RequestHandler = async (req, res) => {
  res.type('text/event-stream').set('Cache-Control', 'no-cache')
  for (let event = 1; event <= count && !res.destroyed; event++) {
    res.write(`data: ${JSON.stringify({ event, of: count, writtenAt: now() })}\n\n`)
    await sleep(pauseMs)
  }
  res.end()
}
