import type { IncomingMessage, ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import { expect } from 'chai'
import express, { type ErrorRequestHandler } from 'express'
import { fixRequestBody, responseInterceptor } from 'http-proxy-middleware'
import { bodyCache, isSluicewayError, passthroughProxy } from 'sluiceway'
import { until } from '../../support/time/until.js'
import { answering, get, HOST, post, type Row, valueOf } from './harness.js'

const LIKE_THERE = { preserveHost: true, forwarded: false } as const
const JSON_TYPE = 'Content-Type: application/json'

/** The versions of http-proxy-middleware. */
const peers = ['http-proxy-middleware 3', 'http-proxy-middleware 4'] as const
/** Those, and http-proxy, whose events they pass on. */
const withEvents = ['http-proxy', ...peers] as const

/** What listeners and middlewares of a row were told; of the peer first. */
const told: string[] = []

/** Whether both were told the same; forgets it. */
async function toldTheSame(times: number): Promise<void> {
  await until(() => told.length === 2 * times, `both to be told of ${times} events`)
  const all = told.splice(0)
  expect(all.slice(times)).to.deep.equal(all.slice(0, times))
}

type ProxyRequest = { readonly setHeader: (name: string, value: string) => void }

export const middlewareRows: Readonly<Record<string, Row>> = {
  'pathFilter: string': {
    peers,
    there: () => ({ pathFilter: ['/api', '/auth'] }),
    here: ({ url }) => {
      const proxy = passthroughProxy(url, LIKE_THERE)
      return express.Router().get(['/api{/*path}', '/auth{/*path}'], proxy)
    },
    mount: '/',
    sent: [get('/api/x'), get('/auth'), get('/other')],
  },
  'pathFilter: pattern': {
    peers,
    there: () => ({ pathFilter: ['**/*.json', '!**/bad.json'] }),
    here: ({ url }) => express.Router().get(/(?<!\/bad)\.json$/, passthroughProxy(url, LIKE_THERE)),
    mount: '/',
    sent: [get('/a/b.json?x=1'), get('/a/bad.json'), get('/a/b.html')],
  },
  'pathFilter: function': {
    peers,
    there: () => ({
      pathFilter: (_path: string, req: IncomingMessage) => req.headers['x-old'] === undefined,
    }),
    here: ({ url }) => {
      const proxy = passthroughProxy(url, LIKE_THERE)
      return (req, res, next) => (req.headers['x-old'] === undefined ? proxy(req, res, next) : next())
    },
    sent: [get('/api/x'), get('/api/x', 'X-Old: 1')],
  },
  'pathRewrite: object': {
    peers,
    there: () => ({ pathRewrite: { '^/old': '/new', '^/remove': '' } }),
    here: ({ url }) =>
      passthroughProxy(url, {
        ...LIKE_THERE,
        path: ({ url: path = '' }) => path.replace(/^\/old/, '/new').replace(/^\/remove\/?/, '/'),
      }),
    sent: [
      get('/api/old/x?y=1'),
      get('/api/remove/x'),
      get('/api/remove'),
      get('/api/remove?y=1'),
      get('/api/x'),
    ],
  },
  'pathRewrite: function': {
    peers,
    there: () => ({ pathRewrite: async (path: string) => `/base${path}` }),
    here: ({ url }) =>
      passthroughProxy(url, {
        ...LIKE_THERE,
        async onRequest(outgoing) {
          outgoing.path = `/base${outgoing.path}`
        },
      }),
  },
  'router: table': {
    peers,
    there: ({ url, other }) => ({ target: url, router: { [HOST]: other.url, '/rest': other.url } }),
    here: ({ url, other }) =>
      passthroughProxy(
        ({ headers, url: path = '' }) =>
          headers.host === HOST || path.startsWith('/rest') ? other.url : url,
        LIKE_THERE,
      ),
    sent: [
      get('/api/x'),
      get('/api/rest').replace(HOST, 'a.example'),
      get('/api/x').replace(HOST, 'a.example'),
    ],
  },
  'router: function': {
    peers,
    there: ({ url, other }) => ({
      target: url,
      router: async (req: IncomingMessage) => (req.headers['x-beta'] === undefined ? undefined : other.url),
    }),
    here: ({ url, other }) =>
      passthroughProxy(async (req) => (req.headers['x-beta'] === undefined ? url : other.url), LIKE_THERE),
    sent: [get('/api/x'), get('/api/x', 'X-Beta: 1')],
  },
  plugins: {
    peers,
    there: () => ({
      plugins: [
        (proxy: { on: (event: string, listener: (request: ProxyRequest) => void) => void }) =>
          proxy.on('proxyReq', (request) => request.setHeader('X-User', 'alice')),
      ],
    }),
    here: ({ url }) =>
      passthroughProxy(url, { ...LIKE_THERE, onRequest: ({ headers }) => headers.set('X-User', 'alice') }),
  },
  ejectPlugins: {
    peers,
    there: () => ({ ejectPlugins: true }),
    here: ({ url }) => passthroughProxy(url, LIKE_THERE),
  },
  logger: {
    peers,
    there: () => {
      const note = (line: string): void => void (line.includes('GET') && told.push('GET'))
      return { logger: { info: note, warn: note, error: note } }
    },
    here: ({ url }) => [
      (req, res, next) => {
        res.on('finish', () => told.push(req.method))
        next()
      },
      passthroughProxy(url, LIKE_THERE),
    ],
    alsoDone: () => toldTheSame(1),
  },
  'on.start, on.end': {
    peers: withEvents,
    there: () => ({ on: { start: () => told.push('start'), end: () => told.push('end') } }),
    here: ({ url }) => [
      (_req, res, next) => {
        told.push('start')
        res.on('finish', () => told.push('end'))
        next()
      },
      passthroughProxy(url, LIKE_THERE),
    ],
    alsoDone: () => toldTheSame(2),
  },
  'on.proxyReq': {
    peers: withEvents,
    there: () => ({ on: { proxyReq: (request: ProxyRequest) => request.setHeader('X-User', 'alice') } }),
    here: ({ url }) =>
      passthroughProxy(url, { ...LIKE_THERE, onRequest: ({ headers }) => headers.set('X-User', 'alice') }),
    sent: [get('/api/x', 'X-User: root'), post('/api/x', '{}', JSON_TYPE)],
  },
  'on.proxyRes': {
    peers: withEvents,
    there: () => ({
      on: {
        proxyRes: (response: IncomingMessage) => {
          response.headers['x-added'] = '1'
          delete response.headers['server']
          response.statusCode = 203
        },
      },
    }),
    here: ({ url }) =>
      passthroughProxy(url, {
        ...LIKE_THERE,
        onResponse(incoming) {
          incoming.headers.set('X-Added', '1')
          incoming.headers.delete('Server')
          incoming.statusCode = 203
        },
      }),
    answer: answering(200, { Server: 'x', 'Content-Length': '2' }, 'ok'),
  },
  'on.error': {
    peers: withEvents,
    there: () => ({
      target: 'http://127.0.0.1:1',
      on: {
        error: (_error: Error, _req: unknown, res: ServerResponse) => {
          if (!res.headersSent) res.writeHead(502, { 'Content-Length': '9' })
          res.end('try again')
        },
      },
    }),
    here: () => passthroughProxy('http://127.0.0.1:1', LIKE_THERE),
    afterHere: ((error, _req, res, _next) => {
      if (!res.headersSent && isSluicewayError(error)) res.writeHead(error.status, { 'Content-Length': '9' })
      res.end('try again')
    }) satisfies ErrorRequestHandler,
  },
  responseInterceptor: {
    peers,
    there: () => ({
      selfHandleResponse: true,
      on: {
        proxyRes: responseInterceptor(async (body, _response, _req, res) => {
          res.setHeader('X-Length', body.length)
          return body.toString().replace('Hello', 'Goodbye')
        }),
      },
    }),
    here: ({ url }) =>
      passthroughProxy(url, {
        ...LIKE_THERE,
        async onResponse(incoming) {
          const body = await incoming.decode().buffer()
          incoming.replace(body.toString().replace('Hello', 'Goodbye'))
          incoming.headers.set('X-Length', String(body.length))
        },
      }),
    answer: answering(
      200,
      { 'Content-Encoding': 'gzip', ETag: '"1"', 'Set-Cookie': 'a=1; Domain=old.example' },
      gzipSync('Hello'),
    ),
    differs: (there, here) => {
      for (const name of ['x-length', 'content-length', 'content-encoding']) {
        expect(valueOf(here.got[0], name)).to.equal(valueOf(there.got[0], name))
      }
      expect(here.got[0]?.body).to.equal(there.got[0]?.body).and.to.equal('Goodbye')
      // The tag of another body stays there, and a Domain loses its name and its first letter.
      expect(['etag', 'set-cookie'].map((name) => valueOf(there.got[0], name))).to.deep.equal([
        '"1"',
        'a=1; ld.example',
      ])
      expect(['etag', 'set-cookie'].map((name) => valueOf(here.got[0], name))).to.deep.equal([
        undefined,
        'a=1; Domain=old.example',
      ])
    },
  },
  fixRequestBody: {
    peers,
    there: () => ({ on: { proxyReq: fixRequestBody } }),
    here: ({ url }) => passthroughProxy(url, LIKE_THERE),
    beforeHere: [bodyCache()],
    before: [express.json()],
    sent: [post('/api/x', '{ "a" :1.0 }', JSON_TYPE)],
    differs: (there, here) => {
      expect(there.seen[0]?.body).to.equal('{"a":1}')
      expect(here.seen[0]?.body).to.equal('{ "a" :1.0 }')
      expect(here.got).to.deep.equal(there.got)
    },
  },
}
