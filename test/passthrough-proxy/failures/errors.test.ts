import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { expect } from 'chai'
import { passthroughProxy, type ResponseHook, type SluicewayError } from 'sluiceway'
import { Agent, MockAgent } from 'undici'
import { asChunk, RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { answer, scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'
import { needsOwnClient } from '../../support/undici/transports.js'
import { REFUSING } from '../targets/dead-targets.js'
import { startWatched } from '../watched.js'

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy when something fails (${name})`, () => {
    afterEach(closeServers)

    it('answers 502 if no server listens, without revealing the cause', async () => {
      const { client, errors } = await startWatched(express(), REFUSING)
      client.request('GET', '/')
      const response = await client.response()
      expect(response.status).to.equal(502)
      expect(response.body.toString()).not.to.contain('ECONNREFUSED')
      expect(errors).to.have.length(1)
      expect(errors[0]).to.include({ code: 'ERR_SLUICEWAY_UPSTREAM_UNREACHABLE', status: 502, expose: false })
      expect(errors[0]?.cause).to.have.property('code', 'ECONNREFUSED')
    })

    it('answers 502 if the name is not known', async () => {
      const { client, errors } = await startWatched(express(), 'http://nowhere.invalid')
      client.request('POST', '/', {}, 'body')
      expect((await client.response()).status).to.equal(502)
      expect(errors[0]).to.have.property('code', 'ERR_SLUICEWAY_UPSTREAM_UNREACHABLE')
    })

    it('answers 502 if the upstream does not speak TLS', async () => {
      const upstream = await scriptedUpstream()
      const { client, errors } = await startWatched(express(), upstream.url.replace('http:', 'https:'))
      client.request('GET', '/')
      const connection = await upstream.connection()
      connection.write('HTTP/1.1 400 Bad Request\r\n\r\n')
      expect((await client.response()).status).to.equal(502)
      expect(errors[0]).to.have.property('code', 'ERR_SLUICEWAY_UPSTREAM_UNREACHABLE')
    })

    for (const [what, raw] of [
      ['no HTTP', 'SSH-2.0-OpenSSH_9.6\r\n'],
      ['a bad header name', 'HTTP/1.1 200 OK\r\nBad Name: 1\r\n\r\n'],
      ['NUL in a header', 'HTTP/1.1 200 OK\r\nX-Bad: a\0b\r\nContent-Length: 0\r\n\r\n'],
      ['an unsolicited 101', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'],
      [
        'a coding that was not asked for',
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
      ],
      ['a head without end', `HTTP/1.1 200 OK\r\nX-Long: ${'x'.repeat(140_000)}\r\n\r\n`],
    ] as const) {
      it(`answers 502 to ${what}`, async () => {
        const upstream = await scriptedUpstream()
        const { client, errors } = await startWatched(express(), upstream.url)
        client.request('GET', '/')
        const connection = await upstream.connection()
        await connection.untilText('\r\n\r\n')
        connection.write(raw)
        expect((await client.response()).status).to.equal(502)
        expect(errors).to.have.length(1)
        expect(errors[0]).to.have.property('code', 'ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE')
      })
    }

    it('skips an unsolicited 100', async function () {
      needsOwnClient(this, 'undici fails at a 100 that nobody asked for')
      const upstream = await scriptedUpstream()
      const { client, errors } = await startWatched(express(), upstream.url)
      client.request('GET', '/')
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      connection.write('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      expect(String((await client.response()).body)).to.equal('ok')
      expect(errors).to.deep.equal([])
    })

    it('answers an error without the lines of a head that Node would not write', async () => {
      const upstream = await scriptedUpstream()
      const app = express().use(passthroughProxy(upstream.url))
      app.use((error: SluicewayError, _req: unknown, res: ServerResponse, _next: unknown) => {
        res.statusCode = error.status
        res.end(error.code)
      })
      const client = await RawClient.connect((await serve(app)).port)
      client.request('GET', '/')
      const connection = await upstream.connection()
      connection.write(answer('ok', 'X-First: 1\r\nSet-Cookie: a=1\r\nX-Bad: a\x01b\r\n'))
      const { status, headers, body } = await client.response()
      expect([status, body.toString()]).to.deep.equal([502, 'ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE'])
      expect(headers).not.to.have.any.keys('x-first', 'set-cookie')
      client.destroy()
    })

    for (const status of [204, 304]) {
      it(`answers an error with its own body in place of a ${status} that cannot be written`, async () => {
        const upstream = await scriptedUpstream()
        const onResponse: ResponseHook = ({ headers }) => headers.set('X-Bad', 'a\0b')
        const app = express().disable('x-powered-by').use(passthroughProxy(upstream.url, { onResponse }))
        app.use((error: SluicewayError, _req: unknown, res: ServerResponse, _next: unknown) => {
          res.statusCode = error.status
          res.end(error.code)
        })
        const client = await RawClient.connect((await serve(app)).port)
        client.request('GET', '/')
        const connection = await upstream.connection()
        connection.write(`HTTP/1.1 ${status} Any\r\n\r\n`)
        const { status: answered, body } = await client.response()
        expect([answered, body.toString()]).to.deep.equal([500, 'ERR_SLUICEWAY_PROXY_HOOK'])
        client.destroy()
      })
    }

    it('answers HEAD with the head of an error in place of one that cannot be written', async () => {
      const upstream = await scriptedUpstream()
      const onResponse: ResponseHook = ({ headers }) => headers.set('X-Bad', 'a\0b')
      const app = express().disable('x-powered-by').use(passthroughProxy(upstream.url, { onResponse }))
      app.use((error: SluicewayError, _req: unknown, res: ServerResponse, _next: unknown) => {
        res.statusCode = error.status
        res.end(error.code)
      })
      const client = await RawClient.connect((await serve(app)).port)
      client.write('HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
      const connection = await upstream.connection()
      connection.write('HTTP/1.1 200 Fine\r\nContent-Length: 2\r\n\r\n')
      await client.closed()
      const received = String(client.pending)
      expect(received).to.match(/^HTTP\/1\.1 500 /)
      expect(received.indexOf('\r\n\r\n')).to.equal(received.length - 4)
    })

    for (const [method, body] of [['GET'], ['POST', 'small']] as const) {
      it(`answers 500 to a ${method} if the dispatcher throws`, async () => {
        const dispatcher = new MockAgent()
        dispatcher.dispatch = () => {
          throw new Error('out of order')
        }
        const { client, errors } = await startWatched(express(), 'http://upstream.example', {
          dispatcher,
          maxQueue: 1,
        })
        // Each gives its place in the queue back.
        for (let n = 0; n < 3; n++) {
          client.request(method, '/', {}, body)
          expect((await client.response()).status).to.equal(500)
        }
        expect(errors.map(({ code }) => code)).to.deep.equal(
          Array.from({ length: 3 }, () => 'ERR_SLUICEWAY_PROXY_HOOK'),
        )
        expect(errors[0]).to.have.nested.property('cause.message', 'out of order')
        await dispatcher.close()
      })
    }

    for (const [what, targetOf] of [
      ['one target', (url: string) => url],
      ['a chosen target', (url: string) => () => url],
    ] as const) {
      it(`answers 503 with Retry-After beyond maxQueue of ${what}, and frees the places of requests that are served`, async () => {
        const upstream = await scriptedUpstream()
        const { port, errors } = await startWatched(express(), targetOf(upstream.url), {
          maxConnections: 1,
          maxQueue: 1,
        })
        const clients = await Promise.all([1, 2, 3, 4].map(() => RawClient.connect(port)))
        const [running, waiting, refused, later] = clients as [RawClient, RawClient, RawClient, RawClient]
        running.request('GET', '/running')
        const connection = await upstream.connection()
        await connection.untilText('GET /running')
        waiting.request('GET', '/waiting')
        refused.request('GET', '/refused')
        const response = await Promise.race([refused.response(), waiting.response()])
        expect(response.status).to.equal(503)
        expect(response.headers['retry-after']).to.deep.equal(['1'])
        expect(errors[0]).to.have.property('code', 'ERR_SLUICEWAY_UPSTREAM_QUEUE_FULL')
        connection.write(answer())
        await running.response()
        await connection.untilText('\r\n\r\nGET /')
        connection.write(answer())
        later.request('GET', '/later')
        await connection.untilText('GET /later')
        connection.write(answer())
        expect((await later.response()).status).to.equal(200)
        expect(upstream.accepted).to.equal(1)
      })
    }

    it('frees the place of a request whose connection fails, once', async () => {
      const upstream = await scriptedUpstream()
      const { port, client } = await startWatched(express(), upstream.url, { maxConnections: 1, maxQueue: 1 })
      client.request('GET', '/fails')
      const failing = await upstream.connection()
      await failing.untilText('GET /fails')
      failing.socket.resetAndDestroy()
      expect((await client.response()).status).to.equal(502)
      client.request('GET', '/running')
      const connection = await upstream.connection()
      await connection.untilText('GET /running')
      const others = await Promise.all([1, 2].map(() => RawClient.connect(port)))
      for (const other of others) other.request('GET', '/waits')
      expect((await Promise.race(others.map((other) => other.response()))).status).to.equal(503)
    })

    it('keeps the place of a client that left the queue until its turn comes', async () => {
      const upstream = await scriptedUpstream()
      const dispatcher = new Agent({ connections: 1 })
      const arrived = deferred()
      const { port } = await startWatched(express(), upstream.url, {
        dispatcher,
        maxQueue: 1,
        path(req) {
          if (req.url === '/waiting') arrived.resolve()
          return req.url ?? ''
        },
      })
      const [running, waiting, later] = (await Promise.all([1, 2, 3].map(() => RawClient.connect(port)))) as [
        RawClient,
        RawClient,
        RawClient,
      ]
      running.request('GET', '/running')
      const connection = await upstream.connection()
      await connection.untilText('GET /running')
      waiting.request('GET', '/waiting')
      await arrived.promise
      later.request('GET', '/refused')
      expect((await later.response()).status).to.equal(503)
      waiting.socket.end()
      await waiting.closed()
      later.request('GET', '/refused')
      expect((await later.response()).status).to.equal(503)
      connection.write(answer())
      await running.response()
      later.request('GET', '/later')
      expect(await connection.untilText('GET /later')).not.to.contain('/waiting')
      connection.write(answer())
      expect((await later.response()).status).to.equal(200)
      await dispatcher.destroy()
    })

    it('calls next(error) in bare http, with nothing written', async () => {
      const proxy = passthroughProxy('http://nowhere.invalid')
      const { port } = await serve((req, res) => {
        proxy(req, res, (error) => {
          expect(res.headersSent).to.equal(false)
          res.end((error as SluicewayError).code)
        })
      })
      const client = await RawClient.connect(port)
      client.request('GET', '/')
      expect((await client.response()).body.toString()).to.equal('ERR_SLUICEWAY_UPSTREAM_UNREACHABLE')
    })

    it('lets another proxy take over after many have failed, without leaving their listeners', async () => {
      const upstream = await serve((_req, res) => res.end('spare'))
      const app = express().use(passthroughProxy('http://nowhere.invalid'))
      // Node warns of more than ten listeners of one event.
      const spares = Array.from({ length: 10 }, () => passthroughProxy('http://nowhere.invalid'))
      for (const spare of [...spares, passthroughProxy(upstream.url)]) {
        app.use((_error: unknown, req: IncomingMessage, res: ServerResponse, next: () => void) =>
          spare(req, res, next),
        )
      }
      const client = await RawClient.connect((await serve(app)).port)
      client.request('GET', '/')
      expect((await client.response()).body.toString()).to.equal('spare')
    })

    for (const [what, late] of [
      ['answers', (connection: RawClient): void => void connection.write(answer('late'))],
      ['dies', (connection: RawClient): void => void connection.socket.resetAndDestroy()],
    ] as const) {
      it(`does not touch an answer that another handler is writing when the upstream ${what}`, async () => {
        const upstream = await scriptedUpstream()
        let other: ServerResponse | undefined
        const app = express().use((_req, res, next) => {
          next()
          other = res
          res.write('begin ')
        }, passthroughProxy(upstream.url))
        const client = await RawClient.connect((await serve(app)).port)
        client.request('GET', '/')
        const connection = await upstream.connection()
        await client.untilText('begin ')
        late(connection)
        await connection.closed()
        other?.end('end')
        await client.untilText('end\r\n0\r\n\r\n')
      })
    }

    it('does not overwrite an answer that another handler has given in the meantime', async () => {
      const upstream = await scriptedUpstream()
      const app = express().use((_req, res, next) => {
        next()
        res.status(503).send('too slow')
      }, passthroughProxy(upstream.url))
      const client = await RawClient.connect((await serve(app)).port)
      client.request('GET', '/')
      const connection = await upstream.connection()
      expect((await client.response()).body.toString()).to.equal('too slow')
      connection.write(answer('late'))
      await connection.closed()
      client.request('GET', '/again')
      expect((await client.response()).body.toString()).to.equal('too slow')
    })

    it('passes on nothing after an answer that the app has ended, however slowly that is sent', async () => {
      const upstream = await scriptedUpstream()
      let ended: ServerResponse | undefined
      const app = express().use((_req, res, next) => {
        ended = res
        next()
      }, passthroughProxy(upstream.url))
      const client = await RawClient.connect((await serve(app)).port)
      client.request('GET', '/')
      const connection = await upstream.connection()
      connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', asChunk('begin'))
      await client.untilText('begin\r\n')
      client.socket.pause()
      ended?.end(Buffer.alloc(8 * 1024 * 1024, 'x'))
      connection.write(asChunk('late'))
      await connection.closed()
      client.socket.resume()
      expect((await client.chunkedBody()).includes('late')).to.equal(false)
    })

    it('ends the connection of an answer that it cuts, without a reset', async () => {
      const upstream = await scriptedUpstream()
      const app = express().use(passthroughProxy(upstream.url))
      const client = await RawClient.connect((await serve(app)).port)
      client.request('GET', '/')
      const connection = await upstream.connection()
      connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', asChunk('begin'))
      await client.untilText('begin\r\n')
      connection.destroy()
      // It fails where an error comes first.
      await once(client.socket, 'end')
      expect(client.pending.toString()).to.equal('')
    })
  })
}
