import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from 'node:http2'
import net, { type Socket } from 'node:net'

import { expect } from 'chai'
import express from 'express'
import { passthroughProxy, type PassthroughProxyOptions, type SluicewayError } from 'sluiceway'
import type * as undici7 from 'undici'

import { attached } from '../support/attached.js'
import { asChunk, RawClient } from '../support/raw-client.js'
import { answer, scriptedUpstream } from '../support/scripted-upstream.js'
import { closeServers, listen, serve } from '../support/servers.js'
import { certificate, key } from '../support/tls-certificate.js'
import { undiciVersions, type Undici } from '../support/undici-versions.js'
import { until } from '../support/until.js'

type Dispatch = undici7.Dispatcher['dispatch']

const HANDSHAKE = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n'

type Start = NonNullable<undici7.Dispatcher.DispatchHandler['onResponseStart']>

/** A handler that begins a response in another way, and is `handler` in all else. */
function beginning(handler: object, begin: (start: Start, ...given: Parameters<Start>) => void): object {
  const start = (handler as { onResponseStart: Start }).onResponseStart.bind(handler)
  return new Proxy(handler, {
    get(_target, name) {
      if (name === 'onResponseStart') return begin.bind(undefined, start)
      const member = Reflect.get(handler, name) as unknown
      return typeof member === 'function' ? (member.bind(handler) as unknown) : member
    },
  })
}

function withoutSecret(dispatch: Dispatch): Dispatch {
  return (options, handler) =>
    dispatch(
      options,
      beginning(handler, (start, controller, status, { 'x-secret': _secret, ...headers }, reason) =>
        start(controller, status, headers, reason),
      ),
    )
}

for (const [version, load] of undiciVersions) {
  describe(`passthroughProxy with a dispatcher of ${version}`, () => {
    let undici: Undici
    const kept: undici7.Dispatcher[] = []
    const clients: RawClient[] = []

    before(async () => {
      undici = await load()
    })
    afterEach(async () => {
      for (const client of clients.splice(0)) client.destroy()
      await Promise.all(kept.splice(0).map((dispatcher) => dispatcher.destroy()))
      await closeServers()
    })

    function keep<Kind extends undici7.Dispatcher>(dispatcher: Kind): Kind {
      kept.push(dispatcher)
      return dispatcher
    }

    interface Started {
      readonly client: RawClient
      readonly port: number
      readonly errors: SluicewayError[]
    }

    async function start(
      target: string,
      dispatcher: undici7.Dispatcher,
      options: PassthroughProxyOptions = {},
    ): Promise<Started> {
      const errors: SluicewayError[] = []
      const app = express().set('env', 'test').disable('x-powered-by')
      app.use(passthroughProxy(target, { dispatcher, ...options }))
      app.use((error: SluicewayError, _req: unknown, _res: unknown, next: (error: unknown) => void) => {
        errors.push(error)
        next(error)
      })
      const { port } = await attached(app)
      const client = await RawClient.connect(port)
      clients.push(client)
      return { client, port, errors }
    }

    it('keeps order, case, repeated lines, bytes and the reason of a response', async () => {
      const upstream = await scriptedUpstream()
      const { client } = await start(upstream.url, keep(new undici.Agent()))
      client.request('GET', '/a?b', { 'X-One': '1', 'x-two': '2' })
      const connection = await upstream.connection()
      const seen = await connection.untilText('\r\n\r\n')
      expect(seen)
        .to.match(/^GET \/a\?b HTTP\/1\.1\r\n/)
        .and.to.contain('X-One: 1\r\nx-two: 2\r\n')
      const lines = 'X-B: \xe9\r\nSet-Cookie: a=1\r\nx-a: 1\r\nSet-Cookie: b=2\r\nX-b: 2\r\n'
      connection.write(
        Buffer.from(`HTTP/1.1 203 So so, \xe2\x98\x83\r\n${lines}Content-Length: 2\r\n\r\nok`, 'latin1'),
      )
      const got = await client.until((bytes) =>
        bytes.includes('\r\n\r\nok') ? bytes.toString('latin1') : undefined,
      )
      expect(got)
        .to.match(/^HTTP\/1\.1 203 So so, \xe2\x98\x83\r\n/)
        .and.to.contain(lines)
    })

    it('streams a body both ways, in chunks where it came in chunks', async () => {
      const { url } = await serve((req, res) => {
        res.setHeader('X-Framing', JSON.stringify(req.headers['content-length'] ?? null))
        req.pipe(res)
      })
      const { client } = await start(url, keep(new undici.Agent()))
      const large = 'x'.repeat(300_000)
      for (const [body, framing] of [
        ['with a length', '"13"'],
        [['in ', 'chunks'], 'null'],
        [large, '"300000"'],
      ] as const) {
        client.request('POST', '/', {}, body as string)
        const response = await client.response()
        expect(response.headers['x-framing']).to.deep.equal([framing])
        expect(response.body.toString()).to.equal([body].flat().join(''))
      }
    })

    it('stops reading while the client is full, and goes on when it is not', async () => {
      const body = Buffer.alloc(32 * 1024 * 1024, 'x')
      const upstream = await scriptedUpstream()
      const { client } = await start(upstream.url, keep(new undici.Agent()))
      client.socket.removeAllListeners('data').pause()
      client.request('GET', '/')
      const { socket } = await upstream.connection()
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`)
      socket.write(body)
      const left = await restOf(socket)
      expect(left).to.be.above(16 * 1024 * 1024)
      let received = 0
      client.socket.on('data', (chunk) => (received += chunk.length)).resume()
      await until(() => received > body.length)
      expect(socket.writableLength).to.equal(0)
    })

    it('goes on where the upstream ends its connection, and with it the body, while the response is full', async () => {
      const upstream = await scriptedUpstream()
      const { client } = await start(upstream.url, keep(new undici.Agent()), { onResponse: fillAtOnce })
      client.request('GET', '/')
      const { socket } = await upstream.connection()
      const body = 'x'.repeat(100_000)
      // In one piece with its end, which undici knows of as it reads the last of it.
      socket.end(`HTTP/1.1 200 OK\r\n\r\n${body}`)
      expect((await client.response()).body.toString()).to.equal(body)
    })

    async function pass(count: number): Promise<void> {
      for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
    }

    /** Has each piece fill the response for a while, as a slow client behind compression does. */
    function fillAtOnce(_incoming: unknown, _req: unknown, res: ServerResponse): void {
      const write = res.write.bind(res) as (chunk: Buffer) => boolean
      res.write = ((chunk: Buffer) => {
        write(chunk)
        void pass(20).then(() => res.emit('drain'))
        return false
      }) as typeof res.write
    }

    it('announces no trailers of a request, as undici does not send them', async () => {
      const upstream = await scriptedUpstream()
      const { client } = await start(upstream.url, keep(new undici.Agent()))
      client.write('POST / HTTP/1.1\r\nHost: a\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n')
      client.write(asChunk('ok'), '0\r\nX-Sum: 1\r\n\r\n')
      const connection = await upstream.connection()
      expect(await connection.untilText('ok\r\n0\r\n\r\n')).not.to.match(/x-sum|trailer/i)
      connection.write(answer())
      expect((await client.response()).status).to.equal(200)
    })

    /** What a socket still has to write once its peer has stopped reading. */
    async function restOf(socket: Socket): Promise<number> {
      let left = Infinity
      for (let turns = 0; turns < 500; turns++) {
        await new Promise((resolve) => setImmediate(resolve))
        if (socket.writableLength === 0 || socket.writableLength === left) continue
        left = socket.writableLength
        turns = 0
      }
      return socket.writableLength
    }

    it('passes 103, trailers, and answers without a body', async () => {
      const upstream = await scriptedUpstream()
      const { client } = await start(upstream.url, keep(new undici.Agent({ connections: 1 })))
      client.request('GET', '/', { TE: 'trailers' })
      let connection = await upstream.connection()
      connection.write('HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n')
      expect(await client.untilText('\r\n\r\n')).to.match(/^HTTP\/1\.1 103 [^]*link: <\/a\.css>/i)
      connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n')
      connection.write(asChunk('ok'), '0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n')
      expect(await client.untilText('0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n')).to.contain('Trailer: X-Sum')
      for (const status of [204, 304]) {
        client.request('GET', `/${status}`)
        while (!connection.pending.includes(`/${status} `)) {
          connection = upstream.takeNew()[0] ?? connection
          await new Promise((resolve) => setImmediate(resolve))
        }
        connection.write(`HTTP/1.1 ${status} Any\r\nContent-Length: 5\r\n\r\n`)
        expect((await client.response()).status).to.equal(status)
      }
    })

    it('ends the request upstream where the client leaves', async () => {
      const upstream = await scriptedUpstream()
      const { client } = await start(upstream.url, keep(new undici.Agent()))
      client.request('GET', '/')
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
      await client.untilText('half')
      client.destroy()
      await connection.closed()
    })

    it('does not send a request whose client has left the queue, and keeps the connection', async () => {
      const upstream = await scriptedUpstream()
      const { client, port } = await start(upstream.url, keep(new undici.Agent({ connections: 1 })))
      client.request('GET', '/running')
      const connection = await upstream.connection()
      await connection.untilText('/running')
      const leaving = await RawClient.connect(port)
      leaving.request('GET', '/leaves')
      const other = await RawClient.connect(port)
      other.request('GET', '/other')
      leaving.socket.end()
      await leaving.closed()
      connection.write(answer())
      await client.response()
      expect(await connection.untilText('GET /other')).not.to.contain('/leaves')
      connection.write(answer())
      expect((await other.response()).status).to.equal(200)
      expect(upstream.accepted).to.equal(1)
    })

    it('cuts the client off where the upstream dies within its answer', async () => {
      const upstream = await scriptedUpstream()
      const { client, errors } = await start(upstream.url, keep(new undici.Agent()))
      client.request('GET', '/')
      const connection = await upstream.connection()
      connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', asChunk('half'))
      await client.untilText('half')
      connection.socket.resetAndDestroy()
      await client.closed()
      expect(client.pending.toString()).not.to.contain('0\r\n\r\n')
      expect(errors.map(({ code }) => code)).to.deep.equal(['ERR_SLUICEWAY_UPSTREAM_RESET'])
    })

    it('names what undici refuses to send, and what it refuses to read', async () => {
      const upstream = await scriptedUpstream()
      const onRequest: PassthroughProxyOptions['onRequest'] = ({ headers, path }) => {
        if (path === '/bad') headers.set('Transfer-Encoding', 'chunked')
      }
      const { client, errors } = await start(upstream.url, keep(new undici.Agent()), { onRequest })
      client.request('GET', '/bad')
      expect((await client.response()).status).to.equal(500)
      client.request('GET', '/')
      const connection = await upstream.connection()
      connection.write('HTTP/1.1 200 OK\r\nBad Name: 1\r\n\r\n')
      expect((await client.response()).status).to.equal(502)
      expect(errors.map(({ code }) => code)).to.deep.equal([
        'ERR_SLUICEWAY_PROXY_HOOK',
        'ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE',
      ])
    })

    it('tunnels an upgrade, with early bytes', async () => {
      const upstream = await scriptedUpstream()
      const { client } = await start(upstream.url, keep(new undici.Agent()))
      client.write(`GET / HTTP/1.1\r\nHost: test\r\n${HANDSHAKE}\r\n`)
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      connection.write(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Case: 1\r\n\r\nearly',
      )
      expect(await client.untilText('early')).to.match(/^HTTP\/1\.1 101 [^]*X-Case: 1\r\n/)
      client.write('late')
      await connection.untilText('late')
      client.destroy()
    })

    it('asks a MockAgent', async () => {
      const dispatcher = new undici.MockAgent()
      dispatcher.disableNetConnect()
      dispatcher
        .get('http://api.example')
        .intercept({ path: '/asked', method: 'POST' })
        .reply(201, 'mocked', { headers: { 'X-Mock': 'yes', 'Set-Cookie': ['a=1', 'b=2'] } })
      const { client } = await start('http://api.example', dispatcher)
      client.request('POST', '/asked', {}, 'body')
      const { status, headers, body } = await client.response()
      expect([status, body.toString()]).to.deep.equal([201, 'mocked'])
      expect(headers['x-mock']).to.deep.equal(['yes'])
      expect(headers['set-cookie']).to.deep.equal(['a=1', 'b=2'])
      await dispatcher.close()
    })

    it('goes through a ProxyAgent', async () => {
      const { url } = await serve((req, res) => req.pipe(res))
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
      const proxy = keep(new undici.ProxyAgent({ uri: (await listen(tunnels)).url, proxyTunnel: true }))
      const { client } = await start(url, proxy)
      client.request('POST', '/', {}, 'through')
      expect((await client.response()).body.toString()).to.equal('through')
      expect(seen).to.deep.equal([new URL(url).host])
    })

    it('goes on with a BalancedPool of which one upstream is gone', async () => {
      const gone = await serve(() => {})
      await closeServers()
      const { url } = await serve((_req, res) => res.end('alive'))
      const { client } = await start('http://balanced', keep(new undici.BalancedPool([gone.url, url])))
      for (let n = 0; n < 4; n++) {
        client.request('GET', '/')
        expect((await client.response()).body.toString()).to.equal('alive')
      }
    })

    it('believes an interceptor that changes the headers', async () => {
      const { url } = await serve((_req, res) => {
        res.setHeader('X-Secret', 'no').setHeader('X-Kept', ['1', '2']).end('body')
      })
      const dispatcher = keep(new undici.Agent()).compose(withoutSecret)
      const { client } = await start(url, dispatcher)
      client.request('GET', '/')
      const { headers, body } = await client.response()
      expect(body.toString()).to.equal('body')
      expect(headers['x-kept']).to.deep.equal(['1', '2'])
      expect(headers).not.to.have.any.keys('x-secret')
    })

    it('sends again what an interceptor repeats', async () => {
      let asked = 0
      const { url } = await serve((_req, res) => {
        asked += 1
        res.statusCode = asked === 1 ? 503 : 200
        res.end(String(asked))
      })
      const dispatcher = keep(new undici.Agent())
      const retry = undici.interceptors.retry({ minTimeout: 1, maxRetries: 2 })
      const { client } = await start(url, dispatcher.compose(retry as never))
      client.request('GET', '/')
      const { status, body } = await client.response()
      expect([status, body.toString()]).to.deep.equal([200, '2'])
    })

    describe('and an interceptor that fails', () => {
      /** Fails the first `times` requests, each in the way it is told. */
      function failing(times: number, how: (...asked: Parameters<Dispatch>) => unknown) {
        let left = times
        return (dispatch: Dispatch): Dispatch =>
          (options, handler) =>
            left-- > 0 ? (how(options, handler) as boolean) : dispatch(options, handler)
      }

      for (const [what, how, code] of [
        [
          'as it is called',
          () => {
            throw new Error('broken')
          },
          'ERR_SLUICEWAY_PROXY_HOOK',
        ],
        ['later', () => Promise.reject(new Error('broken')), 'ERR_SLUICEWAY_PROXY_HOOK'],
        [
          'with what is no error',
          () => {
            // oxlint-disable-next-line no-throw-literal
            throw 'broken' as unknown
          },
          'ERR_SLUICEWAY_PROXY_HOOK',
        ],
        [
          'by the handler',
          (_options, handler) => {
            handler.onResponseError?.(null as never, new Error('broken'))
            return true
          },
          'ERR_SLUICEWAY_UPSTREAM_UNREACHABLE',
        ],
      ] as [string, (...asked: Parameters<Dispatch>) => unknown, string][]) {
        it(`${what} gives its place back, and an error with a code`, async () => {
          const { url } = await serve((_req, res) => res.end('fine'))
          const dispatcher = keep(new undici.Agent()).compose(failing(3, how))
          const { client, errors } = await start(url, dispatcher, { maxQueue: 1 })
          for (let n = 0; n < 3; n++) {
            client.request('GET', '/')
            expect((await client.response()).status).to.be.oneOf([500, 502])
          }
          client.request('GET', '/')
          expect((await client.response()).body.toString()).to.equal('fine')
          expect(errors.map((error) => error.code)).to.deep.equal([code, code, code])
          expect(String(errors[0]?.cause)).to.contain('broken')
        })
      }

      it('within a response ends that exchange alone', async () => {
        const { url } = await serve((_req, res) => res.end('fine'))
        let left = 1
        const breaking =
          (dispatch: Dispatch): Dispatch =>
          (options, handler) =>
            dispatch(
              options,
              beginning(handler, (begin, ...given) => {
                if (left-- > 0) throw new Error('broken')
                begin(...given)
              }),
            )
        const dispatcher = keep(new undici.Agent()).compose(breaking)
        const { client, errors } = await start(url, dispatcher, { maxQueue: 1 })
        client.request('GET', '/')
        expect((await client.response()).status).to.equal(502)
        client.request('GET', '/')
        expect((await client.response()).body.toString()).to.equal('fine')
        expect(errors.map(({ code }) => code)).to.deep.equal(['ERR_SLUICEWAY_UPSTREAM_RESET'])
      })
    })

    it('is a 502 once its owner has closed it', async () => {
      const { url } = await serve((_req, res) => res.end('fine'))
      const dispatcher = new undici.Agent()
      await dispatcher.close()
      const { client, errors } = await start(url, dispatcher)
      client.request('GET', '/')
      expect((await client.response()).status).to.equal(502)
      expect(errors[0]).to.have.property('code', 'ERR_SLUICEWAY_UPSTREAM_UNREACHABLE')
    })

    describe('over HTTP/2', () => {
      async function overHttp2(server: Http2SecureServer): Promise<Started> {
        const { port } = await listen(server)
        const dispatcher = keep(new undici.Agent({ allowH2: true, connect: { ca: certificate } }))
        return start(`https://localhost:${port}`, dispatcher)
      }

      it('passes head and body both ways', async () => {
        const server = createSecureServer({ key, cert: certificate }, (req, res) => {
          res.writeHead(203, {
            'X-Seen': `${req.httpVersion} ${req.method} ${req.url}`,
            'Set-Cookie': ['a=1', 'b=2'],
          })
          req.pipe(res)
        })
        const { client } = await overHttp2(server)
        for (const body of [undefined, 'with a length', ['in ', 'chunks']]) {
          client.request(body === undefined ? 'GET' : 'POST', '/h2?x', {}, body)
          const response = await client.response()
          expect(response.status).to.equal(203)
          expect(response.headers['x-seen']?.[0]).to.match(/^2\.0 (?:GET|POST) \/h2\?x$/)
          expect(response.headers['set-cookie']).to.deep.equal(['a=1', 'b=2'])
          expect(response.body.toString()).to.equal(body === undefined ? '' : [body].flat().join(''))
        }
      })

      it('passes trailers on behind the whole body, or says that they cannot', async () => {
        const server = createSecureServer({ key, cert: certificate })
        server.on('stream', (stream) => {
          stream.on('error', () => {})
          stream.respond({}, { waitForTrailers: true })
          stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '9' }))
          stream.end(Buffer.alloc(300_000, 'x'))
        })
        const { client, errors } = await overHttp2(server)
        client.request('GET', '/', { TE: 'trailers' })
        if (version === 'undici 7') {
          await client.closed()
          expect(errors[0]?.message).to.contain('trailers over HTTP/2')
        } else {
          const got = await client.untilText('0\r\nx-sum: 9\r\n\r\n')
          expect(got.match(/x/g)?.length).to.be.above(300_000)
        }
      })

      for (const enableConnectProtocol of [false, true]) {
        it(`refuses a WebSocket, and says why (extended CONNECT: ${enableConnectProtocol})`, async () => {
          const server = createSecureServer({ key, cert: certificate, settings: { enableConnectProtocol } })
          server.on('stream', (stream) => {
            stream.on('error', () => {})
            stream.respond({ ':status': 200 })
          })
          const { client, errors } = await overHttp2(server)
          client.write(`GET / HTTP/1.1\r\nHost: test\r\n${HANDSHAKE}\r\n`)
          expect((await client.response()).status).to.equal(502)
          expect(errors.map(({ code }) => code)).to.deep.equal(['ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE'])
          expect(errors[0]?.message).to.contain('use a dispatcher without allowH2')
        })
      }

      it('sends a request again that an orderly GOAWAY has not let through', async () => {
        const server = createSecureServer({ key, cert: certificate })
        const heard: string[] = []
        server.on('request', (req: Http2ServerRequest, res: Http2ServerResponse) => {
          heard.push(req.url)
          // Only the stream of the first request is said to be heard.
          if (heard.length === 2) req.stream.session?.goaway(0, 1)
          else res.end('fine')
        })
        const { client, errors } = await overHttp2(server)
        for (const path of ['/first', '/second']) {
          client.request('GET', path)
          expect((await client.response()).body.toString()).to.equal('fine')
        }
        expect(heard).to.deep.equal(['/first', '/second', '/second'])
        expect(errors).to.deep.equal([])
      })
    })
  })
}
