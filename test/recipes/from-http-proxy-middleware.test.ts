import { createServer, type RequestListener } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'

import { expect } from 'chai'
import express, { type Express } from 'express'
import { attach, bodyCache } from 'sluiceway'
import { Agent, interceptors } from 'undici'

import { proxied, request, type ProxiedOptions } from '../support/proxied.js'
import { RawClient } from '../support/raw-client.js'
import { readText } from '../support/repository.js'
import { answer, scriptedUpstream, type ScriptedUpstream } from '../support/scripted-upstream.js'
import { until } from '../support/until.js'
import { closeServers, listen, serve } from '../support/servers.js'
import { certificate, key } from '../support/tls-certificate.js'

const UPGRADE = ['Connection: Upgrade', 'Upgrade: websocket']
const PAGE = 'docs/recipes/from-http-proxy-middleware.md'

/** The upstream's view of one request, and the client's response. */
async function one(
  options: ProxiedOptions,
  sent = request('GET', '/api/x'),
  raw?: string,
): Promise<{ line: string; seen: string; head: string; body: string }> {
  const { seen, response } = await (await proxied({ mount: '/api', ...options })).exchange(sent, raw)
  return {
    line: seen.slice(0, seen.indexOf('\r\n')),
    seen,
    head: response.head,
    body: response.body.toString(),
  }
}

/** One test for each row of the page's table, by the names in its first column. */
const rows: Readonly<Record<string, () => Promise<void>>> = {
  target: async () => {
    expect((await one({ prefix: '/v1' })).line).to.equal('GET /v1/x HTTP/1.1')
  },
  changeOrigin: async () => {
    expect((await one({})).seen).to.match(/\r\nhost: 127\.0\.0\.1:/)
    expect((await one({ preserveHost: true })).seen).to.match(/\r\nhost: test\r\n/)
  },
  pathFilter: async () => {
    const upstream = await scriptedUpstream()
    const { passthroughProxy } = await import('sluiceway')
    const app = express().use(['/api', '/auth'], passthroughProxy(upstream.url))
    const client = await RawClient.connect((await serve(app)).port)
    client.write(request('GET', '/other'))
    expect((await client.response()).status).to.equal(404)
    client.write(request('GET', '/auth/x'))
    const connection = await upstream.connection()
    await connection.untilText('GET /x ')
    connection.write(answer())
    expect((await client.response()).status).to.equal(200)
  },
  pathRewrite: async () => {
    expect((await one({})).line).to.equal('GET /x HTTP/1.1')
    const path = (req: { url?: string | undefined }): string => `/new${req.url}`
    expect((await one({ path })).line).to.equal('GET /new/x HTTP/1.1')
  },
  'prependPath, ignorePath': async () => {
    expect((await one({ prefix: '/v1', path: () => '/' })).line).to.equal('GET /v1/ HTTP/1.1')
  },
  router: async () => {
    const { line } = await one({ target: (upstream) => async (req) => `${upstream.url}/${req.headers.host}` })
    expect(line).to.equal('GET /test/x HTTP/1.1')
  },
  ws: async () => {
    const { client, upstream, server } = await proxied({
      mount: '/api',
      prepare: (app) => {
        app.use((req, res, next) => (req.headers.authorization === undefined ? res.sendStatus(401) : next()))
      },
    })
    attach(server.server, server.server.listeners('request')[0] as RequestListener)
    client.write(request('GET', '/api/ws', ...UPGRADE))
    expect((await client.response()).status).to.equal(401)
    const other = await RawClient.connect(server.port)
    other.write(request('GET', '/api/ws', ...UPGRADE, 'Authorization: x'))
    const connection = await upstream.connection()
    await connection.untilText('GET /ws ')
    connection.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello',
    )
    await other.untilText('hello')
    other.destroy()
  },
  xfwd: async () => {
    const sent = request('GET', '/api/x', 'X-Forwarded-For: 6.6.6.6')
    expect((await one({}, sent)).seen).to.contain('X-Forwarded-For: 127.0.0.1\r\n')
    expect((await one({ forwarded: false }, request('GET', '/api/x'))).seen).not.to.match(/forwarded/i)
  },
  'secure, ssl': async () => {
    const { port } = await listen(
      createHttpsServer({ key, cert: certificate }, (_req, res) => res.end('secret')),
    )
    const target = (): string => `https://localhost:${port}`
    const refused = await proxied({ target })
    refused.client.write(request('GET', '/'))
    expect((await refused.client.response()).status).to.equal(502)
    const dispatcher = new Agent({ connect: { ca: certificate } })
    const trusting = await proxied({ target, dispatcher })
    trusting.client.write(request('GET', '/'))
    expect((await trusting.client.response()).body.toString()).to.equal('secret')
    await dispatcher.destroy()
  },
  'agent, localAddress': async () => {
    const upstream = await serve((req, res) => res.end(req.socket.remoteAddress))
    const dispatcher = new Agent({ localAddress: '127.0.0.2' })
    const { client } = await proxied({ target: () => upstream.url, dispatcher })
    for (let n = 0; n < 2; n++) {
      client.write(request('GET', '/'))
      expect((await client.response()).body.toString()).to.equal('127.0.0.2')
    }
    expect(upstream.connections).to.have.length(1)
    await dispatcher.destroy()
  },
  'auth, headers, method': async () => {
    const { seen } = await one({
      onRequest(outgoing) {
        outgoing.method = 'DELETE'
        outgoing.headers.set('Authorization', 'Basic eDp5')
      },
    })
    expect(seen)
      .to.match(/^DELETE \/x /)
      .and.contain('Authorization: Basic eDp5\r\n')
  },
  'timeout, proxyTimeout': async () => {
    const { client, errors } = await proxied({ headersTimeoutMs: 30 })
    client.write(request('GET', '/'))
    expect((await client.response()).status).to.equal(504)
    expect(errors[0]?.message).to.contain('headersTimeoutMs')
  },
  'hostRewrite, autoRewrite, protocolRewrite': async () => {
    const target = (upstream: ScriptedUpstream): string => `${upstream.url}/v1`
    const moved = 'HTTP/1.1 302 Found\r\nLocation: /v1/login\r\nContent-Length: 0\r\n\r\n'
    expect((await one({ target, rewriteLocation: true }, undefined, moved)).head).to.contain(
      'Location: /api/login\r\n',
    )
    const { head } = await one({ target, rewriteLocation: 'https://www.example.org' }, undefined, moved)
    expect(head).to.contain('Location: https://www.example.org/login\r\n')
  },
  cookieDomainRewrite: async () => {
    const raw = answer('', 'Set-Cookie: a=1; Domain=old.example\r\n')
    const to = async (rule: NonNullable<ProxiedOptions['cookieDomain']>): Promise<string> =>
      (await one({ cookieDomain: rule }, undefined, raw)).head
    expect(await to({ '*': '' })).to.contain('Set-Cookie: a=1\r\n')
    expect(await to({ 'old.example': 'new.example' })).to.contain('Domain=new.example\r\n')
  },
  cookiePathRewrite: async () => {
    const raw = answer('', 'Set-Cookie: a=1; Path=/old/x\r\n')
    const { head } = await one({ cookiePath: { '/old': '/new' } }, undefined, raw)
    expect(head).to.contain('Path=/new/x\r\n')
  },
  followRedirects: async () => {
    const upstream = await serve((req, res) => {
      if (req.url === '/asked') res.writeHead(302, { Location: '/moved' }).end()
      else res.end('followed')
    })
    const plain = await proxied({ target: () => upstream.url })
    plain.client.write(request('GET', '/asked'))
    expect((await plain.client.response()).status).to.equal(302)
    const agent = new Agent()
    const dispatcher = agent.compose(interceptors.redirect({ maxRedirections: 3 }))
    const following = await proxied({ target: () => upstream.url, dispatcher })
    following.client.write(request('GET', '/asked'))
    expect((await following.client.response()).body.toString()).to.equal('followed')
    await agent.destroy()
  },
  'selfHandleResponse, responseInterceptor': async () => {
    const { body } = await one({
      onResponse: (incoming, _req, res) => void res.end(`the upstream said ${incoming.statusCode}`),
    })
    expect(body).to.equal('the upstream said 200')
  },
  buffer: async () => {
    const { client, upstream } = await proxied({
      onRequest(outgoing) {
        outgoing.body = 'another'
      },
    })
    client.request('POST', '/', {}, 'body')
    const connection = await upstream.connection()
    await connection.untilText('\r\n\r\nanother')
  },
  'on.proxyReq, on.proxyReqWs': async () => {
    const { seen } = await one({ onRequest: ({ headers }) => headers.set('X-User', 'alice') })
    expect(seen).to.contain('X-User: alice\r\n')
    const { client, upstream, server } = await proxied({
      onRequest: ({ headers }) => headers.set('X-User', 'bob'),
    })
    attach(server.server, server.server.listeners('request')[0] as RequestListener)
    client.write(request('GET', '/ws', ...UPGRADE))
    expect(await (await upstream.connection()).untilText('\r\n\r\n')).to.contain('X-User: bob\r\n')
    client.destroy()
  },
  'on.proxyRes': async () => {
    const { head } = await one(
      { onResponse: ({ headers }) => headers.delete('server') },
      undefined,
      answer('', 'Server: x\r\n'),
    )
    expect(head).not.to.match(/server/i)
  },
  'on.error': async () => {
    const { client, errors } = await proxied({ target: () => 'http://nowhere.invalid' })
    client.write(request('GET', '/'))
    expect((await client.response()).status).to.equal(502)
    expect(errors[0]).to.include({ status: 502, code: 'ERR_SLUICEWAY_UPSTREAM_UNREACHABLE' })
  },
  'on.open, on.close': async () => {
    const closed: boolean[] = []
    const { exchange } = await proxied({
      prepare: (app) => {
        app.use((_req, res, next) => {
          res.on('close', () => closed.push(res.writableFinished))
          next()
        })
      },
    })
    await exchange(request('GET', '/one'))
    await exchange(request('GET', '/two'))
    expect(closed[0]).to.equal(true)
  },
  fixRequestBody: async () => {
    const { client, upstream } = await proxied({ prepare: (app) => app.use(bodyCache(), express.json()) })
    client.request('POST', '/', { 'Content-Type': 'application/json' }, '{ "a" :1}')
    const connection = await upstream.connection()
    await connection.untilText('\r\n\r\n{ "a" :1}')
    connection.write(answer())
    expect((await client.response()).status).to.equal(200)
  },
  preserveHeaderKeyCase: async () => {
    const { seen, head } = await one({}, request('GET', '/api/x', 'x-CaSe: 1'), answer('', 'Y-cAsE: 1\r\n'))
    expect(seen).to.contain('x-CaSe: 1\r\n')
    expect(head).to.contain('Y-cAsE: 1\r\n')
  },
  'logger, plugins': async () => {
    const { default: debug } = await import('debug')
    const written: string[] = []
    const { log } = debug
    debug.log = (...text: unknown[]) => void written.push(text.join(' '))
    debug.enable('sluiceway:proxy')
    try {
      await one({})
      // The line comes with the end of the request, which may be after its client has the response.
      await until(() => written.some((line) => line.includes('GET /api/x')))
    } finally {
      debug.disable()
      debug.log = log
    }
  },
}

describe('recipe: migrate from http-proxy-middleware', () => {
  let app: Express
  let upstream: ScriptedUpstream

  before(async () => {
    upstream = await scriptedUpstream()
    process.env['UPSTREAM'] = `${upstream.url}/v1`
    ;({ app } = await import('../../.recipes/from-http-proxy-middleware.js'))
    delete process.env['UPSTREAM']
  })
  after(closeServers)

  describe('the program', () => {
    it('does the same as the program before it', async () => {
      const server = createServer(app)
      attach(server, app)
      const client = await RawClient.connect((await listen(server)).port)
      client.request(
        'POST',
        '/api/x',
        { 'Content-Type': 'application/json', 'X-Session': 'secret' },
        '{"a":1}',
      )
      const connection = await upstream.connection()
      const seen = await connection.untilText('{"a":1}')
      expect(seen)
        .to.match(/^POST \/v1\/x /)
        .and.contain('X-User: alice\r\n')
      connection.write(
        `HTTP/1.1 201 Created\r\nServer: x\r\nLocation: ${upstream.url}/v1/x/7\r\nSet-Cookie: a=1; Domain=127.0.0.1\r\nContent-Length: 0\r\n\r\n`,
      )
      const { headers } = await client.response()
      expect(headers).not.to.have.property('server')
      expect(headers['location']).to.deep.equal(['/api/x/7'])
      expect(headers['set-cookie']).to.deep.equal(['a=1'])
      client.request('POST', '/api/x', {}, 'x')
      await connection.untilText('POST /v1/x ')
      connection.socket.resetAndDestroy()
      const failed = await client.response()
      expect([failed.status, failed.body.toString()]).to.deep.equal([502, 'try again'])
      client.destroy()
    })
  })

  describe('the table', () => {
    afterEach(closeServers)

    it('has a test for each row', () => {
      const table = readText(PAGE).split('## Option by option')[1]?.split('\n## ')[0] ?? ''
      const names = [...table.matchAll(/^\| (`.*?`) \|/gm)].map(([, cell = '']) => cell.replaceAll('`', ''))
      expect(names).to.have.length.above(20)
      expect(Object.keys(rows)).to.have.members(names)
    })

    for (const [row, check] of Object.entries(rows)) it(row, check)
  })
})
