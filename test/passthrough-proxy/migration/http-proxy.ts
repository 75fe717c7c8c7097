import { Agent as HttpAgent, request } from 'node:http'
import { Readable } from 'node:stream'
import { expect } from 'chai'
import type { RequestHandler } from 'express'
import { bodyCache, passthroughProxy } from 'sluiceway'
import { ProxyAgent } from 'undici'
import { authority } from '../../support/servers/tls-certificate.js'
import { get, type Outcome, post, type Row, valueOf } from './harness.js'

/** As http-proxy does by default: the Host of the client, and no X-Forwarded-… headers. */
const LIKE_THERE = { preserveHost: true, forwarded: false } as const

const JSON_TYPE = 'Content-Type: application/json'

/** A target with the authority of its certificate. */
function localhost(port: number): object {
  return { protocol: 'https:', host: 'localhost', hostname: 'localhost', port, ca: authority }
}

/** Sends a copy of each request to another server, and discards what that answers. */
function copyTo(url: string): RequestHandler {
  return (req, _res, next) => {
    const { method, headers } = req
    const copy = request(url + req.url, { method, headers })
    copy.on('error', () => {}).on('response', (response) => response.resume())
    req.bodyCache.stream().pipe(copy)
    next()
  }
}

/** The copy may arrive first or last. */
function sameRequests(there: Outcome, here: Outcome): void {
  const bodies = ({ seen }: Outcome): string[] => seen.map(({ line, body }) => line + body).toSorted()
  expect(bodies(here)).to.deep.equal(bodies(there)).and.have.length(2)
  expect(here.got).to.deep.equal(there.got)
}

/** The options of http-proxy 1.18, which http-proxy-middleware 3 and 4 have too, by the names in the page's table. */
export const requestRows: Readonly<Record<string, Row>> = {
  target: {
    there: ({ url }) => ({ target: `${url}/v1` }),
    here: ({ url }) => passthroughProxy(`${url}/v1`, LIKE_THERE),
    sent: [get('/api/x?y=1'), get('/api//a//b'), get('/api')],
    differs: (there, here, peer) => {
      expect(here.seen[0]).to.deep.equal(there.seen[0])
      const seenThere = peer === 'http-proxy-middleware 4' ? ['/v1//a//b', '/v1'] : ['/v1/a/b', '/v1/']
      expect(there.seen.map(({ line }) => line)).to.deep.equal(
        ['/v1/x?y=1', ...seenThere].map((path) => `GET ${path}`),
      )
      expect(here.seen.map(({ line }) => line)).to.deep.equal(['GET /v1/x?y=1', 'GET /v1//a//b', 'GET /v1'])
      expect(here.got).to.deep.equal(there.got)
    },
  },
  'forward: POST': {
    // Version 4.2 of http-proxy-middleware leaves such a request without an answer.
    peers: ['http-proxy', 'http-proxy-middleware 3'],
    there: ({ url, other }) => ({ target: url, forward: other.url }),
    here: ({ url, other }) => [bodyCache(), copyTo(other.url), passthroughProxy(url, LIKE_THERE)],
    sent: [post('/api/x', '{"a":1}', JSON_TYPE)],
    atLeast: 2,
    differs: sameRequests,
  },
  'forward: GET': {
    there: ({ url, other }) => ({ target: url, forward: other.url }),
    here: ({ url, other }) => [bodyCache(), copyTo(other.url), passthroughProxy(url, LIKE_THERE)],
    atLeast: 2,
    differs: sameRequests,
  },
  agent: {
    there: () => ({ agent: new HttpAgent({ keepAlive: true }) }),
    here: ({ url }) => passthroughProxy(url, LIKE_THERE),
    sent: [get('/api/1'), get('/api/2'), get('/api/3')],
    differs: (there, here) => {
      expect(here).to.deep.equal(there).with.property('connections', 1)
    },
  },
  xfwd: {
    there: () => ({ xfwd: true }),
    here: ({ url }) => passthroughProxy(url, { preserveHost: true }),
    sent: [get('/api/x', 'X-Forwarded-For: 6.6.6.6')],
    differs: (there, here) => {
      expect(valueOf(there.seen[0], 'x-forwarded-for')).to.match(/^6\.6\.6\.6/)
      expect(valueOf(here.seen[0], 'x-forwarded-for')).to.equal('127.0.0.1')
      expect(valueOf(there.seen[0], 'x-forwarded-port')).to.equal('8000')
      expect(valueOf(here.seen[0], 'x-forwarded-port')).to.equal(undefined)
      for (const name of ['x-forwarded-host', 'x-forwarded-proto']) {
        expect(valueOf(here.seen[0], name)).to.equal(valueOf(there.seen[0], name))
      }
    },
  },
  prependPath: {
    there: ({ url }) => ({ target: `${url}/v1`, prependPath: false }),
    here: ({ url }) => passthroughProxy(url, LIKE_THERE),
    differs: (there, here, peer) => {
      expect(here.seen[0]?.line).to.equal('GET /x')
      expect(there.seen[0]?.line).to.equal(peer === 'http-proxy-middleware 4' ? 'GET /v1/x' : 'GET /x')
    },
  },
  ignorePath: {
    there: ({ url }) => ({ target: `${url}/the/one`, ignorePath: true }),
    here: ({ url }) => passthroughProxy(url, { ...LIKE_THERE, path: () => '/the/one' }),
    sent: [get('/api/x?y=1')],
  },
  localAddress: {
    needsOwnClient: 'undici takes it as an option of its own',
    there: () => ({ localAddress: '127.0.0.2' }),
    here: ({ url }) => passthroughProxy(url, { ...LIKE_THERE, connect: { localAddress: '127.0.0.2' } }),
    answer: (req, res) => res.end(`from ${req.socket.remoteAddress}`),
  },
  'changeOrigin: true': {
    there: () => ({ changeOrigin: true }),
    here: ({ url }) => passthroughProxy(url, { forwarded: false }),
  },
  'changeOrigin: false': {
    there: () => ({ changeOrigin: false }),
    here: ({ url }) => passthroughProxy(url, { forwarded: false, preserveHost: true }),
  },
  'changeOrigin: false, over https': {
    needsOwnClient: 'undici verifies the Host, as http-proxy does',
    there: ({ port }) => ({ changeOrigin: false, target: localhost(port) }),
    here: ({ url }) => passthroughProxy(url, { ...LIKE_THERE, connect: { ca: authority } }),
    secure: true,
    differs: (there, here) => {
      expect(there.got[0]?.line).to.equal('HTTP/1.1 500 Internal Server Error')
      expect(here.got[0]?.line).to.equal('HTTP/1.1 200 OK')
    },
  },
  'target: object': {
    there: ({ port }) => ({ changeOrigin: true, target: localhost(port) }),
    here: ({ url }) => passthroughProxy(url, { forwarded: false, connect: { ca: authority } }),
    secure: true,
  },
  ssl: {
    there: () => ({ changeOrigin: true, ssl: { ca: authority } }),
    here: ({ url }) => passthroughProxy(url, { forwarded: false, connect: { ca: authority } }),
    secure: true,
    differs: (there, here, peer) => {
      expect(here.got[0]?.line).to.equal('HTTP/1.1 200 OK')
      // In http-proxy 1.18 the fields of the target take their place, even those that are undefined.
      expect(there.got[0]?.line).to.match(peer === 'http-proxy-middleware 4' ? / 200 / : / 500 /)
    },
  },
  'secure: false': {
    there: () => ({ changeOrigin: true, secure: false }),
    here: ({ url }) => passthroughProxy(url, { forwarded: false, connect: { rejectUnauthorized: false } }),
    secure: true,
  },
  'secure: true': {
    there: () => ({ changeOrigin: true }),
    here: ({ url }) => passthroughProxy(url, { forwarded: false }),
    secure: true,
    differs: (there, here) => {
      expect(there.seen).to.deep.equal([])
      expect(here.seen).to.deep.equal([])
      expect(there.got[0]?.line).to.equal('HTTP/1.1 500 Internal Server Error')
      expect(here.got[0]?.line).to.equal('HTTP/1.1 502 Bad Gateway')
    },
  },
  proxyTimeout: {
    there: () => ({ proxyTimeout: 30 }),
    here: ({ url }) => passthroughProxy(url, { ...LIKE_THERE, headersTimeoutMs: 30 }),
    answer: () => {},
    differs: (there, here, peer) => {
      expect(there.got[0]?.line).to.match(peer === 'http-proxy' ? / 500 / : / 504 /)
      expect(here.got[0]?.line).to.equal('HTTP/1.1 504 Gateway Timeout')
    },
  },
  http2: {
    peers: ['http-proxy-middleware 4'],
    there: () => ({ http2: true }),
    here: ({ url }) => passthroughProxy(url, LIKE_THERE),
  },
  toProxy: {
    peers: ['http-proxy', 'http-proxy-middleware 3'],
    there: () => ({ toProxy: true, prependPath: false }),
    here: ({ url }) =>
      passthroughProxy('http://site.example', {
        forwarded: false,
        dispatcher: new ProxyAgent({ uri: url, proxyTunnel: false }),
      }),
    mount: '/',
    sent: ['GET http://site.example/x?y=1 HTTP/1.1\r\nHost: site.example\r\n\r\n'],
    differs: (there, here) => {
      expect(here.seen)
        .to.deep.equal(there.seen)
        .with.nested.property('[0].line', 'GET http://site.example/x?y=1')
      expect(here.got[0]?.body).to.equal(there.got[0]?.body)
    },
  },
  auth: {
    there: () => ({ auth: 'user:password' }),
    here: ({ url }) =>
      passthroughProxy(url, {
        ...LIKE_THERE,
        onRequest({ headers }) {
          if (!headers.has('Authorization')) headers.set('Authorization', `Basic ${btoa('user:password')}`)
        },
      }),
    sent: [get('/api/x'), get('/api/x', 'Authorization: Bearer of-the-client')],
  },
  headers: {
    there: () => ({ headers: { 'X-Api-Key': 'sesame', 'User-Agent': 'gateway' } }),
    here: ({ url }) =>
      passthroughProxy(url, {
        ...LIKE_THERE,
        onRequest({ headers }) {
          headers.set('X-Api-Key', 'sesame')
          headers.set('User-Agent', 'gateway')
        },
      }),
    sent: [get('/api/x', 'X-Api-Key: of-the-client')],
  },
  method: {
    peers: ['http-proxy', 'http-proxy-middleware 3'],
    there: () => ({ method: 'DELETE' }),
    here: ({ url }) =>
      passthroughProxy(url, {
        ...LIKE_THERE,
        onRequest(outgoing) {
          outgoing.method = 'DELETE'
        },
      }),
  },
  buffer: {
    there: () => ({ buffer: Readable.from(['other'], { objectMode: false }) }),
    here: ({ url }) =>
      passthroughProxy(url, {
        ...LIKE_THERE,
        onRequest(outgoing) {
          outgoing.body = 'other'
        },
      }),
    sent: [post('/api/x', 'first')],
  },
}
