import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import compression from 'compression'
import { type RequestHandler, Router } from 'express'
import { autoFlush, passthroughProxy } from 'sluiceway'
import type { Traces } from '../traces.js'
import type { Upstream } from '../upstream.js'

const longestMs = 5000

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
  routes.get('/by-hand/work', passByHand)
  return routes

  /** The proxy that one writes at first: B is not told when the client leaves. */
  async function passByHand(...[req, res]: Parameters<RequestHandler>): Promise<void> {
    const url = upstream.url + req.originalUrl.replace('/proxy/by-hand', '')
    const { body } = await fetch(url, { signal: AbortSignal.timeout(longestMs) })
    const stream = Readable.fromWeb(body as ReadableStream)
    stream.on('error', () => res.destroy())
    stream.pipe(res.type('text'))
  }
}
