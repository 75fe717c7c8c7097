import { Transform } from 'node:stream'
import { Router } from 'express'
import { passthroughProxy } from 'sluiceway'
import type { Traces } from '../traces.js'

/** Answers of the upstream come compressed; card numbers in them are masked as they stream through. */
export function changedRoutes(traces: Traces, upstream: string): Router {
  const passOn = passthroughProxy(upstream, {
    path: (req) => `/payments${new URL(req.url ?? '', upstream).search}`,
    onResponse(incoming, req) {
      const coding = incoming.headers.get('content-encoding')
      traces.of(req).note('gateway', 'heard', { coding })
      incoming.decode().pipeThrough(maskCards())
    },
  })
  const routes = Router()
  routes.get('/', passOn)
  return routes
}

/** Masks line by line, as a number may come in two pieces. */
function maskCards(): Transform {
  let rest = ''
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const lines = `${rest}${chunk.toString()}`.split('\n')
      rest = lines.pop() ?? ''
      done(null, lines.map((line) => `${mask(line)}\n`).join(''))
    },
    flush(done) {
      done(null, mask(rest))
    },
  })
}

function mask(text: string): string {
  return text.replaceAll(/\d{4} \d{4} \d{4} (\d{4})/g, '•••• •••• •••• $1')
}
