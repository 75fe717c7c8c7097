import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import net, { type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { expect } from 'chai'
import { Agent, MockAgent, Pool, ProxyAgent } from 'undici'
import { RawClient } from '../../support/clients/raw-client.js'
import { withEntry } from '../../support/error-entry.js'
import { listen, serve } from '../../support/servers/servers.js'
import { certificate, key } from '../../support/servers/tls-certificate.js'
import { deferred } from '../../support/time/deferred.js'
import { endAll, kept, start, asked } from './upstreams.js'

const asTls = { key, cert: certificate }
const echo: RequestListener = (req, res) => {
  res.setHeader('X-Url', String(req.url))
  req.pipe(res)
}

describe('the upstreams of passthroughProxy', () => {
  afterEach(endAll)

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
})
