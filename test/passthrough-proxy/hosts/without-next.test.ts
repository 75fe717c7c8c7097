import { createServer, type RequestListener } from 'node:http'
import { expect } from 'chai'
import { attach, passthroughProxy, type PassthroughProxy } from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { request } from '../../support/servers/proxied.js'
import { scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, listen, serve } from '../../support/servers/servers.js'
import { REFUSING } from '../targets/dead-targets.js'
import { clientOf } from './listener-client.js'

const UPGRADE = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: x']

/** The ways to call a proxy without `next`: an application may do so too, as with http-proxy. */
const callers: Readonly<Record<string, (proxy: PassthroughProxy) => RequestListener>> = {
  'http.createServer(proxy)': (proxy) => proxy,
  ...Object.fromEntries(
    expressVersions.map(({ name, express }) => [
      `(req, res) => proxy(req, res) in ${name}`,
      (proxy: PassthroughProxy) => express().use((req, res) => proxy(req, res)) as RequestListener,
    ]),
  ),
}

for (const [name, call] of Object.entries(callers)) {
  describe(`passthroughProxy without next: ${name}`, () => {
    afterEach(closeServers)

    it('answers 502 as plain text if no server listens, and the connection serves the next request', async () => {
      const client = await clientOf(call(passthroughProxy(REFUSING)))
      for (const path of ['/1', '/2']) {
        client.write(request('GET', path))
        const { status, reason, headers, body } = await client.response()
        expect([status, reason, body.toString()]).to.deep.equal([502, 'Bad Gateway', 'Bad Gateway'])
        expect(headers['content-type']).to.deep.equal(['text/plain; charset=utf-8'])
        expect(headers['content-length']).to.deep.equal(['11'])
      }
      client.destroy()
    })

    it('answers 503 with Retry-After if the queue is full', async () => {
      const upstream = await scriptedUpstream()
      const listener = call(passthroughProxy(upstream.url, { maxConnections: 1, maxQueue: 1 }))
      const { port } = await serve(listener)
      const clients = await Promise.all([1, 2, 3].map(() => RawClient.connect(port)))
      for (const [index, client] of clients.entries()) client.write(request('GET', `/${index}`))
      const first = await Promise.race(clients.map((client) => client.response()))
      expect([first.status, first.body.toString()]).to.deep.equal([503, 'Service Unavailable'])
      expect(first.headers['retry-after']).to.deep.equal(['1'])
      for (const client of clients) client.destroy()
    })

    it('answers 504 if the upstream takes too long', async () => {
      const upstream = await scriptedUpstream()
      const client = await clientOf(call(passthroughProxy(upstream.url, { headersTimeoutMs: 50 })))
      client.write(request('GET', '/'))
      const { status, body } = await client.response()
      expect([status, body.toString()]).to.deep.equal([504, 'Gateway Timeout'])
      client.destroy()
    })

    it('answers 400 to a request that cannot be passed on', async () => {
      const client = await clientOf(call(passthroughProxy(`${REFUSING}/v1`)))
      client.write(request('GET', '/../secret'))
      const { status, body } = await client.response()
      expect([status, body.toString()]).to.deep.equal([400, 'Bad Request'])
      client.destroy()
    })

    for (const option of ['onRequest', 'path'] as const) {
      it(`answers 500 if ${option} throws, and reveals nothing`, async () => {
        const careless = (): never => {
          throw Object.assign(new Error('secret'), { status: 200, headers: { 'X-Secret': '1' } })
        }
        const client = await clientOf(call(passthroughProxy(REFUSING, { [option]: careless })))
        client.write(request('GET', '/'))
        const { status, head, body } = await client.response()
        expect([status, body.toString()]).to.deep.equal([500, 'Internal Server Error'])
        expect(head).not.to.match(/secret/i)
        client.destroy()
      })
    }

    it('answers HEAD without a body, on a server that rejects one too', async () => {
      for (const options of [{}, { rejectNonStandardBodyWrites: true }]) {
        const client = await clientOf(call(passthroughProxy(REFUSING)), options)
        client.write(request('HEAD', '/'), request('GET', '/'))
        const { status, headers } = await client.response({ head: true })
        expect([status, headers['content-length']]).to.deep.equal([502, ['11']])
        expect((await client.response()).body.toString()).to.equal('Bad Gateway')
        client.destroy()
      }
    })

    it('answers a client of HTTP/1.0, and ends its connection', async () => {
      const client = await clientOf(call(passthroughProxy(REFUSING)))
      client.write('GET / HTTP/1.0\r\n\r\n')
      const { status, headers, body } = await client.response()
      expect([status, headers['connection'], body.toString()]).to.deep.equal([502, ['close'], 'Bad Gateway'])
      await client.closed()
    })

    it('answers in the middle of an upload, and says that the connection closes', async () => {
      const upstream = await scriptedUpstream()
      const client = await clientOf(call(passthroughProxy(upstream.url)))
      client.write(request('POST', '/', 'Content-Length: 100000000'), Buffer.alloc(100_000))
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      connection.socket.resetAndDestroy()
      const { status, headers } = await client.response()
      expect([status, headers['connection']]).to.deep.equal([502, ['close']])
      client.destroy()
    })

    it('cuts the connection if the upstream leaves after the head', async () => {
      const upstream = await scriptedUpstream()
      const client = await clientOf(call(passthroughProxy(upstream.url)))
      client.write(request('GET', '/'))
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf')
      await client.untilText('half')
      connection.socket.resetAndDestroy()
      await client.closed()
      expect(client.pending.toString()).to.equal('')
    })

    it('answers upgrades through attach, and closes their connection', async () => {
      const listener = call(passthroughProxy(REFUSING))
      const server = createServer(listener)
      attach(server, listener)
      const client = await RawClient.connect((await listen(server)).port)
      client.write(request('GET', '/', ...UPGRADE))
      const { status, headers, body } = await client.response()
      expect([status, headers['connection'], body.toString()]).to.deep.equal([502, ['close'], 'Bad Gateway'])
      await client.closed()
    })
  })
}

describe('passthroughProxy without next', () => {
  afterEach(closeServers)

  it('gives an upgrade the same answer beside other listeners, through the next of attach', async () => {
    const upstream = await scriptedUpstream()
    const proxy = passthroughProxy(upstream.url, { maxConnections: 1, maxQueue: 1 })
    const server = createServer(proxy).on('upgrade', () => {})
    attach(server, proxy)
    const { port } = await listen(server)
    const clients = await Promise.all([1, 2, 3].map(() => RawClient.connect(port)))
    for (const client of clients) client.write(request('GET', '/', ...UPGRADE))
    const { status, headers, body } = await Promise.race(clients.map((client) => client.response()))
    expect([status, body.toString()]).to.deep.equal([503, 'Service Unavailable'])
    expect(headers).to.deep.include({ 'retry-after': ['1'], 'content-length': ['19'] })
    for (const client of clients) client.destroy()
  })
})

describe('passthroughProxy with something else than next', () => {
  for (const [what, given, shown] of [
    ["options, as of http-proxy's web()", { target: REFUSING }, 'an object'],
    ["the head of an upgrade, as of http-proxy's ws()", Buffer.alloc(0), 'a value of class Buffer'],
    ['a port', 9000, '9000'],
    ['null', null, 'null'],
  ] as const) {
    for (const [kind, proxy] of [
      ['a fixed target', passthroughProxy(REFUSING)],
      ['a function', passthroughProxy(() => REFUSING)],
    ] as const) {
      it(`throws a TypeError that says what to do: ${what}, with ${kind}`, () => {
        expect(() => (proxy as (...all: unknown[]) => void)({}, {}, given)).to.throw(
          TypeError,
          `passthroughProxy: next must be a function, got ${shown}; options belong to passthroughProxy(target, options), ` +
            'and upgrades go through attach(server, app) (see docs/errors.md#a-wrong-option)',
        )
      })
    }
  }
})
