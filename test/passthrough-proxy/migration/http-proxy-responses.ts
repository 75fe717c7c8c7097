import type { RequestListener } from 'node:http'
import { expect } from 'chai'
import { passthroughProxy } from 'sluiceway'
import { Agent, interceptors } from 'undici'
import { answering, type Row, valueOf } from './harness.js'

/** As http-proxy does by default: the Host of the client, and no X-Forwarded-… headers. */
const LIKE_THERE = { preserveHost: true, forwarded: false } as const

const COOKIES = answering(
  200,
  { 'Set-Cookie': ['a=1; Domain=old.example; Path=/old; HttpOnly', 'b=2'] },
  'ok',
)

const movedTo =
  (location: string): RequestListener =>
  (req, res) =>
    void res.writeHead(302, { Location: location.replace('$', String(req.socket.localPort)) }).end()

/** The options of http-proxy that change responses. */
export const responseRows: Readonly<Record<string, Row>> = {
  hostRewrite: {
    there: () => ({ hostRewrite: 'public.example:81' }),
    here: ({ url }) =>
      passthroughProxy(url, { ...LIKE_THERE, rewriteLocation: { [url]: 'http://public.example:81' } }),
    answer: movedTo('http://127.0.0.1:$/login?next=1'),
  },
  'hostRewrite: without a port': {
    there: () => ({ hostRewrite: 'public.example' }),
    here: ({ url }) =>
      passthroughProxy(url, { ...LIKE_THERE, rewriteLocation: { [url]: 'http://public.example' } }),
    answer: movedTo('http://127.0.0.1:$/login'),
    differs: (there, here, peer) => {
      const port = peer === 'http-proxy-middleware 4' ? ':80xx' : ''
      expect(valueOf(there.got[0], 'location')).to.equal(`http://public.example${port}/login`)
      expect(valueOf(here.got[0], 'location')).to.equal('http://public.example/login')
    },
  },
  protocolRewrite: {
    there: () => ({ protocolRewrite: 'https' }),
    here: ({ url }) =>
      passthroughProxy(url, { ...LIKE_THERE, rewriteLocation: { [url]: url.replace('http:', 'https:') } }),
    answer: movedTo('http://127.0.0.1:$/login?next=1'),
  },
  autoRewrite: {
    there: ({ url }) => ({ target: `${url}/v1`, autoRewrite: true }),
    here: ({ url }) => passthroughProxy(`${url}/v1`, { ...LIKE_THERE, rewriteLocation: true }),
    answer: movedTo('http://127.0.0.1:$/v1/login'),
    differs: (there, here) => {
      expect(here.seen).to.deep.equal(there.seen)
      expect(valueOf(there.got[0], 'location')).to.equal('http://www.example.org:8000/v1/login')
      expect(valueOf(here.got[0], 'location')).to.equal('/api/login')
    },
  },
  'cookieDomainRewrite: string': {
    there: () => ({ cookieDomainRewrite: 'new.example' }),
    here: ({ url }) => passthroughProxy(url, { ...LIKE_THERE, cookieDomain: { '*': 'new.example' } }),
    answer: COOKIES,
  },
  "cookieDomainRewrite: ''": {
    there: () => ({ cookieDomainRewrite: '' }),
    here: ({ url }) => passthroughProxy(url, { ...LIKE_THERE, cookieDomain: { '*': '' } }),
    answer: COOKIES,
  },
  'cookieDomainRewrite: object': {
    there: () => ({ cookieDomainRewrite: { 'old.example': 'new.example', '*': '' } }),
    here: ({ url }) =>
      passthroughProxy(url, { ...LIKE_THERE, cookieDomain: { 'old.example': 'new.example', '*': '' } }),
    answer: COOKIES,
  },
  cookiePathRewrite: {
    there: () => ({ cookiePathRewrite: { '/old': '/new' } }),
    here: ({ url }) => passthroughProxy(url, { ...LIKE_THERE, cookiePath: { '/old': '/new' } }),
    answer: answering(200, { 'Set-Cookie': ['a=1; Path=/old', 'b=2; Path=/old/deeper'] }, 'ok'),
    differs: (there, here) => {
      const cookies = ({ headers }: { headers: readonly string[] }): string[] =>
        headers.filter((line) => line.startsWith('set-cookie'))
      expect(cookies(there.got[0]!)).to.deep.equal([
        'set-cookie: a=1; Path=/new',
        'set-cookie: b=2; Path=/old/deeper',
      ])
      expect(cookies(here.got[0]!)).to.deep.equal([
        'set-cookie: a=1; Path=/new',
        'set-cookie: b=2; Path=/new/deeper',
      ])
    },
  },
  followRedirects: {
    there: () => ({ followRedirects: true, changeOrigin: true }),
    here: ({ url }) => {
      const dispatcher = new Agent().compose(interceptors.redirect({ maxRedirections: 3 }))
      return passthroughProxy(url, { forwarded: false, dispatcher })
    },
    answer: (req, res) =>
      void (req.url === '/x' ? res.writeHead(302, { Location: '/moved' }).end() : res.end('followed')),
    differs: (there, here) => {
      expect(here.got).to.deep.equal(there.got)
      expect(here.seen.map(({ line }) => line)).to.deep.equal(there.seen.map(({ line }) => line))
    },
  },
  selfHandleResponse: {
    there: () => ({
      selfHandleResponse: true,
      on: {
        proxyRes: (proxyRes: { statusCode: number }, _req: unknown, res: { end: (text: string) => void }) =>
          res.end(`the upstream said ${proxyRes.statusCode}`),
      },
    }),
    here: ({ url }) =>
      passthroughProxy(url, {
        ...LIKE_THERE,
        onResponse: (incoming, _req, res) => void res.end(`the upstream said ${incoming.statusCode}`),
      }),
    answer: answering(404, { 'X-A': '1' }, 'not here'),
  },
  preserveHeaderKeyCase: {
    there: () => ({ preserveHeaderKeyCase: true }),
    here: ({ url }) => passthroughProxy(url, LIKE_THERE),
    answer: answering(200, { 'x-CaSe': '1' }),
  },
}
