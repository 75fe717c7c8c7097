import { lookup } from 'node:dns/promises'
import type { LookupAddress } from 'node:dns'
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import { mkdtemp, rm } from 'node:fs/promises'
import net, { type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'

import { expect } from 'chai'
import express from 'express'
import { passthroughProxy, type PassthroughProxyOptions, type SluicewayError } from 'sluiceway'
import { Agent, BalancedPool, MockAgent, Pool, ProxyAgent, type Dispatcher } from 'undici'

import { withEntry } from '../support/error-entry.js'
import { deferred } from '../support/deferred.js'
import { RawClient, type RawResponse } from '../support/raw-client.js'
import { answer, scriptedUpstream } from '../support/scripted-upstream.js'
import { closeServers, listen, serve, type TestServer } from '../support/servers.js'
import { certificate, key } from '../support/tls-certificate.js'
import { until } from '../support/until.js'

const dispatchers: Dispatcher[] = []

function kept<Kind extends Dispatcher>(dispatcher: Kind): Kind {
  dispatchers.push(dispatcher)
  return dispatcher
}

async function start(
  target: string,
  options: PassthroughProxyOptions = {},
): Promise<{ port: number; client: RawClient; errors: SluicewayError[] }> {
  const errors: SluicewayError[] = []
  const app = express().set('env', 'test').disable('x-powered-by').use(passthroughProxy(target, options))
  app.use((error: SluicewayError, _req: unknown, _res: unknown, next: (error: unknown) => void) => {
    errors.push(error)
    next(error)
  })
  const { port } = await serve(app)
  return { port, client: await RawClient.connect(port), errors }
}

async function asked(
  target: string,
  dispatcher?: Dispatcher,
): Promise<RawResponse & { readonly errors: SluicewayError[] }> {
  const { client, errors } = await start(target, { dispatcher })
  client.request('GET', '/asked')
  const response = await client.response()
  client.destroy()
  return { ...response, errors }
}

const asTls = { key, cert: certificate }
const echo: RequestListener = (req, res) => {
  res.setHeader('X-Url', String(req.url))
  req.pipe(res)
}

describe('the upstreams of passthroughProxy', () => {
  afterEach(async () => {
    await Promise.all(dispatchers.splice(0).map((dispatcher) => dispatcher.destroy()))
    await closeServers()
  })

  describe('over TLS', () => {
    it('are a 502 if their certificate is self-signed, and get no request', async () => {
      const heard: unknown[] = []
      const { port } = await listen(createHttpsServer(asTls, (req, res) => res.end(heard.push(req.url))))
      const { status, errors } = await asked(`https://localhost:${port}`)
      expect(status).to.equal(502)
      expect(errors[0]).to.include({
        code: 'ERR_SLUICEWAY_UPSTREAM_UNREACHABLE',
        message: withEntry(
          'the certificate of the upstream is not trusted; give its authority as `ca` in the option "connect"',
          'ERR_SLUICEWAY_UPSTREAM_UNREACHABLE',
        ),
      })
      expect(errors[0]?.cause).to.have.property('code', 'DEPTH_ZERO_SELF_SIGNED_CERT')
      expect(heard).to.deep.equal([])
    })

    it('are a 502 if the certificate is for another host', async () => {
      const { port } = await listen(createHttpsServer(asTls, echo))
      const dispatcher = kept(new Agent({ connect: { ca: certificate, servername: 'other.example' } }))
      const { status, errors } = await asked(`https://localhost:${port}`, dispatcher)
      expect(status).to.equal(502)
      expect(errors[0]?.cause).to.have.property('code', 'ERR_TLS_CERT_ALTNAME_INVALID')
      expect(errors[0]?.message).to.contain('for another host')
    })

    it('are verified against a private CA', async () => {
      const { port } = await listen(createHttpsServer(asTls, echo))
      const dispatcher = kept(new Agent({ connect: { ca: certificate } }))
      expect((await asked(`https://localhost:${port}/v1`, dispatcher)).headers['x-url']).to.deep.equal([
        '/v1/asked',
      ])
      expect((await asked(`https://127.0.0.1:${port}`, dispatcher)).status).to.equal(200)
    })

    it('see the certificate of the client with mTLS, and refuse one without', async () => {
      const server = createHttpsServer(
        { ...asTls, ca: certificate, requestCert: true, rejectUnauthorized: true },
        (req, res) => res.end((req.socket as TLSSocket).getPeerCertificate().subject.CN),
      )
      server.on('tlsClientError', () => {})
      const { port } = await listen(server)
      const dispatcher = kept(new Agent({ connect: { ca: certificate, cert: certificate, key } }))
      const { status, body } = await asked(`https://localhost:${port}`, dispatcher)
      expect(status).to.equal(200)
      expect(body.length).to.be.above(0)
      const without = await asked(
        `https://localhost:${port}`,
        kept(new Agent({ connect: { ca: certificate } })),
      )
      expect(without.status).to.equal(502)
    })

    it('speak HTTP/2 if the dispatcher allows it, with body, repeated lines and status', async () => {
      const server = createSecureServer(asTls, (req: Http2ServerRequest, res: Http2ServerResponse) => {
        res.writeHead(203, {
          'X-Seen': `${req.httpVersion} ${req.method} ${req.url}`,
          'Set-Cookie': ['a=1', 'b=2'],
        })
        req.pipe(res)
      })
      const { port } = await listen(server)
      const dispatcher = kept(new Agent({ allowH2: true, connect: { ca: certificate } }))
      const { client } = await start(`https://localhost:${port}`, { dispatcher })
      for (const body of [undefined, 'with a length', ['in ', 'chunks']]) {
        client.request(
          body === undefined ? 'GET' : 'POST',
          '/h2?x',
          { Connection: 'keep-alive, X-Hop', 'X-Hop': '1' },
          body,
        )
        const response = await client.response()
        expect(response.status).to.equal(203)
        expect(response.headers['x-seen']?.[0]).to.equal(`2.0 ${body === undefined ? 'GET' : 'POST'} /h2?x`)
        expect(response.headers['set-cookie']).to.deep.equal(['a=1', 'b=2'])
        expect(response.body.toString()).to.equal(body === undefined ? '' : [body].flat().join(''))
      }
      client.request('HEAD', '/h2')
      expect((await client.response({ head: true })).status).to.equal(203)
      client.destroy()
    })

    it('over HTTP/2 end their stream when the client leaves, and cut the client off when they fail', async () => {
      const left = deferred()
      const server = createSecureServer(asTls)
      server.on('stream', (stream, headers) => {
        stream.on('error', () => {})
        stream.respond({ ':status': 200 })
        stream.write('begun')
        if (headers[':path'] === '/dies') stream.destroy(new Error('no more'))
        else stream.on('close', left.resolve)
      })
      const { port } = await listen(server)
      const dispatcher = kept(new Agent({ allowH2: true, connect: { ca: certificate } }))
      const { client, port: proxyPort } = await start(`https://localhost:${port}`, { dispatcher })
      client.request('GET', '/leaves')
      await client.untilText('begun')
      client.destroy()
      await left.promise
      const other = await RawClient.connect(proxyPort)
      other.request('GET', '/dies')
      await other.untilText('begun')
      await other.closed()
      expect(other.pending.toString()).not.to.contain('0\r\n\r\n')
    })
  })

  for (const [size, announced] of [
    [10, undefined],
    [300_000, undefined],
    [300_000, '300000'],
  ] as const) {
    it(`over HTTP/2 with trailers after ${size} bytes do not seem whole (Content-Length: ${announced})`, async () => {
      const server = createSecureServer(asTls)
      server.on('stream', (stream) => {
        stream.on('error', () => {})
        stream.respond(announced === undefined ? {} : { 'content-length': announced }, {
          waitForTrailers: true,
        })
        stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '9' }))
        stream.end(Buffer.alloc(size, 'x'))
      })
      const { port } = await listen(server)
      const dispatcher = kept(new Agent({ allowH2: true, connect: { ca: certificate } }))
      const { client, errors } = await start(`https://localhost:${port}`, { dispatcher })
      client.request('GET', '/')
      const end = Promise.race([client.closed(), client.untilText('502 Bad Gateway')])
      await end
      expect(errors[0]?.message).to.contain('trailers over HTTP/2')
      expect(client.pending.toString()).not.to.match(/\r\n0\r\n\r\n$/)
    })
  }

  it('are reached through a Unix socket', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'sluiceway-'))
    const socketPath = join(directory, 'socket')
    const upstream = createServer((req, res) => req.pipe(res)).listen(socketPath)
    const dispatcher = kept(new Agent({ connect: { socketPath } }))
    const { client } = await start('http://unix', { dispatcher })
    client.request('POST', '/', {}, 'through a file')
    expect((await client.response()).body.toString()).to.equal('through a file')
    client.destroy()
    await dispatcher.destroy()
    upstream.closeAllConnections()
    upstream.close()
    await rm(directory, { recursive: true })
    const { status, errors } = await asked('http://unix', kept(new Agent({ connect: { socketPath } })))
    expect(status).to.equal(502)
    expect(errors[0]?.cause).to.have.property('message').that.contains(socketPath)
  })

  it('are reached through any pool, whatever the name of the target', async () => {
    const { url } = await serve(echo)
    expect((await asked('http://whatever', kept(new Pool(url)))).headers['x-url']).to.deep.equal(['/asked'])
  })

  it("may be mocks in a user's own test", async () => {
    const dispatcher = new MockAgent()
    dispatcher.disableNetConnect()
    dispatcher
      .get('http://api.example')
      .intercept({ path: '/v1/asked', method: 'GET' })
      .reply(200, 'mocked', { headers: { 'X-Mock': 'yes', 'Set-Cookie': ['a=1', 'b=2'] } })
    const response = await asked('http://api.example/v1', dispatcher)
    expect(response.body.toString()).to.equal('mocked')
    expect(response.headers['x-mock']).to.deep.equal(['yes'])
    expect(response.headers['set-cookie']).to.deep.equal(['a=1', 'b=2'])
    expect((await asked('http://api.example/v2', dispatcher)).status).to.equal(502)
    dispatcher.assertNoPendingInterceptors()
    await dispatcher.close()
  })

  it('are reached through a tunnelling proxy', async () => {
    const { url } = await serve(echo)
    const seen: (string | undefined)[] = []
    const tunnels = createServer().on('connect', (req: IncomingMessage, client: Socket) => {
      seen.push(req.url)
      const { hostname, port } = new URL(`http://${req.url}`)
      const upstream = net.connect(Number(port), hostname, () => {
        client.write('HTTP/1.1 200 Connected\r\n\r\n')
        client.pipe(upstream).pipe(client)
      })
      for (const socket of [client, upstream]) socket.on('error', () => {})
    })
    const dispatcher = kept(new ProxyAgent({ uri: (await listen(tunnels)).url, proxyTunnel: true }))
    expect((await asked(url, dispatcher)).headers['x-url']).to.deep.equal(['/asked'])
    expect(seen).to.deep.equal([new URL(url).host])
  })

  describe('by address and by name', () => {
    let hasIpv6 = true

    before(async function ipv6() {
      const probe = net.createServer()
      hasIpv6 = await new Promise((resolve) => {
        probe.once('error', () => resolve(false)).listen(0, '::1', () => probe.close(() => resolve(true)))
      })
      if (!hasIpv6) console.log('      skipped: there is no IPv6 here')
    })

    async function on(address: string): Promise<number> {
      const server = net.createServer((socket) => {
        socket.on('error', () => {})
        socket.on('data', () => socket.end(answer(address)))
      })
      await new Promise<void>((resolve) => server.listen(0, address, resolve))
      return listening(server)
    }

    const open: net.Server[] = []
    function listening(server: net.Server): number {
      open.push(server)
      return (server.address() as AddressInfo).port
    }
    afterEach(() => {
      for (const server of open.splice(0)) server.close()
    })

    it('are reached at ::1', async function needsIpv6() {
      if (!hasIpv6) this.skip()
      const port = await on('::1')
      expect((await asked(`http://[::1]:${port}/`)).body.toString()).to.equal('::1')
    })

    for (const address of ['127.0.0.1', '::1']) {
      it(`are reached as localhost if they listen only on ${address}`, async function needsBoth() {
        const known = await lookup('localhost', { all: true })
        if (!known.some((entry) => entry.address === address)) {
          console.log(`        skipped: localhost is not ${address} here`)
          this.skip()
        }
        const port = await on(address)
        expect((await asked(`http://localhost:${port}`)).body.toString()).to.equal(address)
      })

      it(`are reached by a name with both addresses if they listen only on ${address}`, async function needsIpv6() {
        if (!hasIpv6) this.skip()
        const port = await on(address)
        expect((await asked(`http://both.example:${port}`, bothAddresses())).body.toString()).to.equal(
          address,
        )
      })
    }

    function bothAddresses(): Agent {
      const addresses: LookupAddress[] = [
        { address: '::1', family: 6 },
        { address: '127.0.0.1', family: 4 },
      ]
      const both: net.LookupFunction = (_name, _options, done) => done(null, addresses)
      return kept(new Agent({ connect: { lookup: both } }))
    }

    it('are named in the cause with each address that was tried, if none listens', async function needsIpv6() {
      if (!hasIpv6) this.skip()
      const port = await on('127.0.0.1')
      const server = open.pop()
      await new Promise((resolve) => server?.close(resolve))
      const { errors, body } = await asked(`http://both.example:${port}`, bothAddresses())
      expect(errors[0]?.cause).to.have.property('code', 'ECONNREFUSED')
      expect(errors[0]?.cause)
        .to.have.property('message')
        .that.matches(new RegExp(`::1:${port}; connect ECONNREFUSED 127.0.0.1:${port}`))
      expect(body.toString()).not.to.contain('ECONNREFUSED')
    })
  })

  describe('three in a BalancedPool', () => {
    it('lose only the requests in flight at one of them when it dies under load', async () => {
      const held: (() => void)[] = []
      const upstreams = await Promise.all([1, 2, 3].map(() => serve(holding(held))))
      const dispatcher = kept(new BalancedPool(upstreams.map(({ url }) => url)))
      const { port, errors } = await start('http://balanced', { dispatcher })
      const clients = await Promise.all(Array.from({ length: 12 }, () => RawClient.connect(port)))
      for (const client of clients) client.request('GET', '/held')
      await until(() => held.length === clients.length)
      const inFlight = die(upstreams[0] as TestServer)
      expect(inFlight).to.be.above(0).and.below(clients.length)
      for (const release of held) release()
      const lost = (await statusesOf(clients)).filter((status) => status !== 200)
      expect(lost).to.deep.equal(Array.from({ length: inFlight }, () => 502))
      for (const body of [undefined, 'body', ['in ', 'chunks']]) {
        for (let round = 0; round < 10; round++) {
          for (const client of clients) client.request('POST', '/after', {}, body)
          expect(await statusesOf(clients)).to.deep.equal(clients.map(() => 200))
        }
      }
      expect(errors).to.have.length(inFlight)
      for (const client of clients) client.destroy()
    })

    /** Keeps requests for /held until they are released. */
    function holding(held: (() => void)[]): RequestListener {
      return (req, res) => {
        if (req.url === '/held') held.push(() => res.end('held'))
        else req.pipe(res)
      }
    }

    /** Ends a server as a crash would; gives how many connections it had. */
    function die({ server, connections }: TestServer): number {
      const alive = connections.filter((socket) => !socket.destroyed)
      server.close()
      for (const socket of alive) socket.destroy()
      return alive.length
    }

    async function statusesOf(clients: readonly RawClient[]): Promise<number[]> {
      return Promise.all(clients.map(async (client) => (await client.response()).status))
    }

    it('are a 502 when all are gone', async () => {
      const gone = await Promise.all([1, 2].map(() => serve(() => {})))
      await closeServers()
      const dispatcher = kept(new BalancedPool(gone.map(({ url }) => url)))
      const { status, errors } = await asked('http://balanced', dispatcher)
      expect(status).to.equal(502)
      expect(errors[0]).to.have.property('code', 'ERR_SLUICEWAY_UPSTREAM_UNREACHABLE')
    })

    it('are tried at most four times', async () => {
      const gone = await serve(() => {})
      await closeServers()
      let tries = 0
      const count =
        (dispatch: Dispatcher['dispatch']): Dispatcher['dispatch'] =>
        (options, handler) => {
          tries += 1
          return dispatch(options, handler)
        }
      const dispatcher = kept(new BalancedPool([gone.url]))
      const { client } = await start('http://balanced', { dispatcher: dispatcher.compose(count) })
      client.request('GET', '/')
      expect((await client.response()).status).to.equal(502)
      expect(tries).to.equal(4)
    })

    it('get a whole upload, whichever of them is chosen', async () => {
      const gone = await scriptedUpstream()
      await closeServers()
      const seen = await scriptedUpstream()
      const dispatcher = kept(new BalancedPool([gone.url, seen.url]))
      const { client } = await start('http://balanced', { dispatcher })
      for (let n = 0; n < 2; n++) {
        client.request('POST', '/', {}, ['one ', 'two'])
        const connection = await seen.connection()
        await connection.untilText('\r\n0\r\n\r\n')
        connection.write(answer('ok', 'Connection: close\r\n'))
        expect((await client.response()).status).to.equal(200)
      }
    })
  })
})
