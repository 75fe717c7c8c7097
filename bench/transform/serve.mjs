// One entry in a process of its own: `node serve.mjs <entry> <URL of the upstream>`.
import http from 'node:http'
import { Transform } from 'node:stream'
import express from 'express'
import { listen, report } from '../measure/usage.mjs'
import { changed, FROM } from './settings.mjs'

const entries = {
  /** No change: what the way through Express and the proxy costs. */
  async untouched(app, upstream) {
    const { passthroughProxy } = await import('../../dist/esm/passthrough-proxy.js')
    app.use(passthroughProxy(upstream))
  },
  async sluiceway(app, upstream) {
    const { passthroughProxy } = await import('../../dist/esm/passthrough-proxy.js')
    app.use(
      passthroughProxy(upstream, {
        onResponse: (incoming) => void incoming.decode().pipeThrough(replacing()),
      }),
    )
  },
  async 'http-proxy-middleware'(app, upstream) {
    const { createProxyMiddleware, responseInterceptor } = await import('http-proxy-middleware')
    const intercept = responseInterceptor(async (body) => changed(body.toString()))
    const proxyRes = (...args) => void intercept(...args)
    app.use(createProxyMiddleware({ target: upstream, selfHandleResponse: true, on: { proxyRes } }))
  },
  async 'express-http-proxy'(app, upstream) {
    const { default: proxy } = await import('express-http-proxy')
    app.use(
      proxy(upstream, { userResDecorator: (_answer, body) => changed(body.toString()), limit: '100mb' }),
    )
  },
}

/** Replaces a string in a stream; the last bytes of a chunk may begin one. */
function replacing() {
  let held = ''
  return new Transform({
    transform(chunk, _encoding, done) {
      const text = changed(held + chunk.toString('latin1'))
      const end = Math.max(0, text.length - FROM.length + 1)
      held = text.slice(end)
      done(null, Buffer.from(text.slice(0, end), 'latin1'))
    },
    flush: (done) => done(null, Buffer.from(held, 'latin1')),
  })
}

const [name, upstream] = process.argv.slice(2)
const app = express().disable('x-powered-by')
await entries[name](app, upstream)
report(await listen(http.createServer(app)))
