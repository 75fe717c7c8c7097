import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { expect } from 'chai'
import { passthroughProxy, type ResponseHook, type SluicewayError } from 'sluiceway'
import { MockAgent } from 'undici'
import { asChunk, RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { answer, scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../../support/servers/servers.js'
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
