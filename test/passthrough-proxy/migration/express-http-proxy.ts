import type { IncomingMessage } from 'node:http'
import { gzipSync } from 'node:zlib'
import { expect } from 'chai'
import type { ErrorRequestHandler, Request, Response } from 'express'
import { isSluicewayError, maxBytes, passthroughProxy } from 'sluiceway'
import { authority } from '../../support/servers/tls-certificate.js'
import { answering, get, type Outcome, post, type Row, valueOf } from './harness.js'

/** As express-http-proxy does: the Host of the target, and no X-Forwarded-… headers. */
const LIKE_THERE = { forwarded: false } as const
const peers = ['express-http-proxy'] as const

function statuses(there: Outcome, here: Outcome): string[] {
  return [...there.got, ...here.got].map(({ line }) => line.split(' ')[1] ?? '')
}

export const expressHttpProxyRows: Readonly<Record<string, Row>> = {
  host: {
    peers,
    there: ({ port }) => ({ target: `127.0.0.1:${port}` }),
    here: ({ url }) => passthroughProxy(url, LIKE_THERE),
    differs: (there, here) => {
      expect(there.seen[0]?.headers).to.include.members(['accept-charset: utf-8', 'content-length: 0'])
      expect(here.seen[0]?.headers).to.have.length(1)
      expect(here.got).to.deep.equal(there.got)
    },
  },
  proxyReqPathResolver: {
    peers,
    there: () => ({ proxyReqPathResolver: async (req: Request) => `/v1${req.url}` }),
    here: ({ url }) => passthroughProxy(url, { ...LIKE_THERE, path: (req) => `/v1${req.url}` }),
    sent: [get('/api/x?y=1')],
  },
  proxyReqOptDecorator: {
    peers,
    there: () => ({
      proxyReqOptDecorator: (options: { headers: Record<string, string>; method: string }) => {
        options.headers['X-User'] = 'alice'
        options.method = 'PUT'
        return options
      },
    }),
    here: ({ url }) =>
      passthroughProxy(url, {
        ...LIKE_THERE,
        onRequest(outgoing) {
          outgoing.headers.set('X-User', 'alice')
          outgoing.method = 'PUT'
        },
      }),
    sent: [post('/api/x', '{}', 'Content-Type: application/json')],
  },
  proxyReqBodyDecorator: {
    peers,
    there: () => ({ proxyReqBodyDecorator: () => 'other' }),
    here: ({ url }) =>
      passthroughProxy(url, {
        ...LIKE_THERE,
        onRequest(outgoing) {
          outgoing.body = 'other'
        },
      }),
    sent: [post('/api/x', 'first', 'Content-Type: text/plain')],
  },
  userResHeaderDecorator: {
    peers,
    there: () => ({
      userResHeaderDecorator: ({ server: _server, ...headers }: Record<string, string>) => ({
        ...headers,
        'x-added': '1',
      }),
    }),
    here: ({ url }) =>
      passthroughProxy(url, {
        ...LIKE_THERE,
        onResponse({ headers }) {
          headers.delete('Server')
          headers.set('X-Added', '1')
        },
      }),
    answer: answering(
      200,
      { Server: 'x', 'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': '2' },
      'ok',
    ),
  },
  userResDecorator: {
    peers,
    there: () => ({
      userResDecorator: (_response: unknown, body: Buffer) => body.toString().replace('Hello', 'Goodbye'),
    }),
    here: ({ url }) =>
      passthroughProxy(url, {
        ...LIKE_THERE,
        async onResponse(incoming) {
          const body = await incoming.decode().buffer()
          incoming.replace(body.toString().replace('Hello', 'Goodbye'))
        },
      }),
    answer: answering(200, { 'Content-Encoding': 'gzip', 'Content-Type': 'text/plain' }, gzipSync('Hello')),
    differs: (there, here) => {
      expect([there.got[0]?.line, here.got[0]?.line]).to.deep.equal(['HTTP/1.1 200 OK', 'HTTP/1.1 200 OK'])
      expect(here.got[0]?.body).to.equal('Goodbye')
      // It is compressed again there.
      expect(valueOf(there.got[0], 'content-encoding')).to.equal('gzip')
      expect(valueOf(here.got[0], 'content-encoding')).to.equal(undefined)
    },
  },
  proxyErrorHandler: {
    peers,
    there: () => ({
      target: 'http://127.0.0.1:1',
      proxyErrorHandler: (_error: Error, res: Response) => res.status(502).send('try again'),
    }),
    here: () => passthroughProxy('http://127.0.0.1:1', LIKE_THERE),
    afterHere: ((error, _req, res, next) => {
      if (res.headersSent || !isSluicewayError(error)) next(error)
      else res.status(error.status).send('try again')
    }) satisfies ErrorRequestHandler,
  },
  filter: {
    peers,
    there: () => ({ filter: async (req: Request) => req.method === 'GET' }),
    here: ({ url }) => {
      const proxy = passthroughProxy(url, LIKE_THERE)
      return (req, res, next) => (req.method === 'GET' ? proxy(req, res, next) : next())
    },
    sent: [get('/api/x'), post('/api/x', 'x')],
  },
  skipToNextHandlerFilter: {
    peers,
    there: () => ({ skipToNextHandlerFilter: (response: IncomingMessage) => response.statusCode === 404 }),
    here: ({ url }) =>
      passthroughProxy(url, {
        ...LIKE_THERE,
        onResponse: ({ statusCode }) => {
          if (statusCode === 404) throw new Error('not there')
        },
      }),
    afterHere: ((error, _req, res, next) => {
      next(res.headersSent || error.cause?.message !== 'not there' ? error : undefined)
    }) satisfies ErrorRequestHandler,
    next: (_req, res) => void res.end('of this server'),
    answer: answering(404, {}, 'not here'),
  },
  preserveHostHdr: {
    peers,
    there: () => ({ preserveHostHdr: true }),
    here: ({ url }) => passthroughProxy(url, { ...LIKE_THERE, preserveHost: true }),
  },
  'parseReqBody, reqAsBuffer, reqBodyEncoding': {
    peers,
    there: () => ({ parseReqBody: false }),
    here: ({ url }) => passthroughProxy(url, LIKE_THERE),
    sent: [post('/api/x', '{ "a" :1.0 }', 'Content-Type: application/json')],
  },
  memoizeHost: {
    peers,
    there: ({ url, other }) => ({
      target: (req: Request) => (req.headers['x-beta'] === undefined ? url : other.url),
      memoizeHost: false,
    }),
    here: ({ url, other }) =>
      passthroughProxy((req) => (req.headers['x-beta'] === undefined ? url : other.url), LIKE_THERE),
    sent: [get('/api/x'), get('/api/x', 'X-Beta: 1')],
  },
  https: {
    peers,
    there: ({ port }) => ({
      target: `localhost:${port}`,
      https: true,
      proxyReqOptDecorator: (options: object) => ({ ...options, ca: authority }),
    }),
    here: ({ url }) => passthroughProxy(url, { ...LIKE_THERE, connect: { ca: authority } }),
    secure: true,
  },
  limit: {
    peers,
    there: () => ({ limit: 10 }),
    here: ({ url }) => [maxBytes(10), passthroughProxy(url, LIKE_THERE)],
    sent: [post('/api/x', 'more than ten bytes', 'Content-Type: text/plain')],
    differs: (there, here) => {
      expect(statuses(there, here)).to.deep.equal(['413', '413'])
    },
  },
  timeout: {
    peers,
    there: () => ({ timeout: 30 }),
    here: ({ url }) => passthroughProxy(url, { ...LIKE_THERE, headersTimeoutMs: 30 }),
    answer: () => {},
    differs: (there, here) => {
      expect(statuses(there, here)).to.deep.equal(['504', '504'])
    },
  },
}
