import { once } from 'node:events'
import { createServer, type RequestListener, type ServerOptions } from 'node:http'
import http2 from 'node:http2'
import { expect } from 'chai'
import compression from 'compression'
import { attach, maxBytes, passthroughProxy, type PassthroughProxy } from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { observing } from '../../support/observed.js'
import { request } from '../../support/servers/proxied.js'
import { scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, listen, serve } from '../../support/servers/servers.js'
import { until } from '../../support/time/until.js'
import { REFUSING } from '../targets/dead-targets.js'

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

/** Connects a client to a proxy that is called without `next`. */
async function clientOf(listener: RequestListener, options: ServerOptions = {}): Promise<RawClient> {
  return RawClient.connect((await listen(createServer(options, listener))).port)
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
  const observer = observing()
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

  it('replaces what the application has prepared for a body, and keeps its other headers', async () => {
    const proxy = passthroughProxy(REFUSING)
    const client = await clientOf((req, res) => {
      res.statusMessage = 'Fine'
      for (const name of ['Content-Encoding', 'ETag', 'X-Own']) res.setHeader(name, 'own')
      res.setHeader('Transfer-Encoding', 'chunked')
      proxy(req, res)
    })
    client.write(request('GET', '/'))
    const { reason, headers, body } = await client.response()
    expect([reason, body.toString()]).to.deep.equal(['Bad Gateway', 'Bad Gateway'])
    expect(headers).to.not.have.any.keys('content-encoding', 'etag', 'transfer-encoding')
    expect(headers['x-own']).to.deep.equal(['own'])
    client.destroy()
  })

  it('answers through compression', async () => {
    const proxy = passthroughProxy(REFUSING)
    const compress = compression({ threshold: 0 })
    const { url } = await serve((req, res) => compress(req as never, res as never, () => proxy(req, res)))
    const answer = await fetch(url)
    expect([answer.status, await answer.text()]).to.deep.equal([502, 'Bad Gateway'])
    expect(answer.headers.get('content-encoding')).to.match(/^(?:br|gzip)$/)
  })

  it('answers 413 to a body that is larger than announced to maxBytes', async () => {
    const upstream = await scriptedUpstream()
    const limit = maxBytes(10)
    const proxy = passthroughProxy(upstream.url)
    const client = await clientOf((req, res) => limit(req, res, () => proxy(req, res)))
    client.request('POST', '/', {}, ['a body of more ', 'than 10 bytes'])
    const { status, body } = await client.response()
    expect([status, body.toString()]).to.deep.equal([413, 'Payload Too Large'])
    client.destroy()
  })

  it('leaves an answer alone that the application has begun', async () => {
    const upstream = await scriptedUpstream()
    const proxy = passthroughProxy(upstream.url)
    let answerFirst: (() => void) | undefined
    let answerLast: (() => void) | undefined
    const client = await clientOf((req, res) => {
      proxy(req, res)
      answerFirst = () => res.writeHead(200, { 'Content-Length': 4 }).write('my')
      answerLast = () => res.end('in')
    })
    client.write(request('GET', '/'))
    const connection = await upstream.connection()
    await connection.untilText('\r\n\r\n')
    answerFirst?.()
    connection.socket.resetAndDestroy()
    await until(() => proxy.stats.requests === 0)
    answerLast?.()
    const { status, body } = await client.response()
    expect([status, body.toString()]).to.deep.equal([200, 'myin'])
    client.destroy()
  })

  for (const [given, status, retryAfter] of [
    [429, 429, ['7']],
    [299, 500, undefined],
    ['429', 500, undefined],
  ] as const) {
    it(`answers ${status} to an exception of the application with the status ${JSON.stringify(given)}`, async () => {
      const upstream = await scriptedUpstream()
      const proxy = passthroughProxy(upstream.url)
      const client = await clientOf((req, res) => {
        const writeHead = res.writeHead.bind(res)
        res.writeHead = () => {
          res.writeHead = writeHead
          throw Object.assign(new Error('secret'), { status: given, headers: { 'Retry-After': '7' } })
        }
        proxy(req, res)
      })
      client.write(request('GET', '/'))
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      connection.write('HTTP/1.1 200 OK\r\nX-Upstream: 1\r\nContent-Length: 0\r\n\r\n')
      const answered = await client.response()
      expect(answered.status).to.equal(status)
      expect(answered.headers['retry-after']).to.deep.equal(retryAfter)
      expect(answered.headers).not.to.have.property('x-upstream')
      client.destroy()
    })
  }

  it('cuts the connection, and publishes the exception, if the answer itself fails', async () => {
    const contained = observer.messages('sluiceway:contained')
    const proxy = passthroughProxy(REFUSING)
    const client = await clientOf((req, res) => {
      res.writeHead = () => {
        throw new Error('careless')
      }
      proxy(req, res)
    })
    client.write(request('GET', '/'))
    await client.closed()
    expect(client.pending.toString()).to.equal('')
    expect(contained.map(({ error }) => String(error))).to.deep.equal(['Error: careless'])
  })

  it('does nothing if the client leaves', async () => {
    const contained = observer.messages('sluiceway:contained')
    const upstream = await scriptedUpstream()
    const proxy = passthroughProxy(upstream.url)
    const client = await clientOf(proxy)
    client.write(request('GET', '/'))
    const connection = await upstream.connection()
    await connection.untilText('\r\n\r\n')
    client.destroy()
    await connection.closed()
    await until(() => proxy.stats.requests === 0)
    expect(contained).to.deep.equal([])
  })

  it('answers over HTTP/2, HEAD too, and resets the stream after the head', async () => {
    const upstream = await scriptedUpstream()
    const dead = passthroughProxy(REFUSING)
    const dying = passthroughProxy(upstream.url)
    const server = http2.createServer((req, res) =>
      (req.url === '/dying' ? dying : dead)(req as never, res as never),
    )
    const session = http2.connect(`http://127.0.0.1:${(await listen(server as never)).port}`)
    for (const [method, text] of [
      ['GET', 'Bad Gateway'],
      ['HEAD', ''],
    ] as const) {
      const stream = session.request({ ':method': method })
      const [head] = await once(stream, 'response')
      expect(head).to.include({ ':status': 502, 'content-type': 'text/plain; charset=utf-8' })
      expect(head).to.have.property('content-length', '11')
      expect(String(Buffer.concat(await stream.toArray()))).to.equal(text)
    }
    const stream = session.request({ ':path': '/dying' })
    const connection = await upstream.connection()
    await connection.untilText('\r\n\r\n')
    connection.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf')
    const answered = Promise.allSettled([once(stream, 'response'), stream.toArray()])
    stream.once('response', () => setTimeout(() => connection.socket.resetAndDestroy(), 20))
    expect((await answered)[1]).to.have.nested.property('reason.code', 'ERR_HTTP2_STREAM_ERROR')
    session.destroy()
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
