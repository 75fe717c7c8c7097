import { Readable } from 'node:stream'
import { expect } from 'chai'
import type { ErrorRequestHandler } from 'express'
import { passthroughProxy, type SluicewayError } from 'sluiceway'
import { asChunk, RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { attached } from '../../support/servers/attached.js'
import { answer, scriptedUpstream, type ScriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../../support/servers/servers.js'

const HANDSHAKE = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n'
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy with upgrades (${name})`, () => {
    afterEach(closeServers)

    it('drops an upgrade that the upstream accepts after the app has begun an answer of its own', async () => {
      const upstream = await scriptedUpstream()
      let answerFirst: (() => void) | undefined
      const app = express().use((_req, res, next) => {
        answerFirst = () => void res.writeHead(503).write('busy')
        next()
      }, passthroughProxy(upstream.url))
      const client = await RawClient.connect((await attached(app)).port)
      client.write(`GET / HTTP/1.1\r\nHost: test\r\n${HANDSHAKE}\r\n`)
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      answerFirst?.()
      expect(await client.untilText('busy')).to.match(/^HTTP\/1.1 503 /)
      connection.write(SWITCH)
      await connection.closed()
      client.destroy()
    })

    for (const makeBody of [() => 'text', () => Readable.from(['text'])]) {
      it(`refuses a hook's ${typeof makeBody()} as the body of an upgrade: it would be read as the other protocol`, async () => {
        const upstream = await scriptedUpstream()
        const body = makeBody()
        const errors: SluicewayError[] = []
        const proxy = passthroughProxy(upstream.url, { onRequest: (outgoing) => void (outgoing.body = body) })
        const app = express().use(proxy, ((error, _req, res, _next) => {
          errors.push(error)
          res.sendStatus(500)
        }) satisfies ErrorRequestHandler)
        const client = await RawClient.connect((await attached(app)).port)
        client.write(`GET / HTTP/1.1\r\nHost: test\r\n${HANDSHAKE}\r\n`)
        expect((await client.response()).status).to.equal(500)
        expect(errors[0]?.code).to.equal('ERR_SLUICEWAY_PROXY_HOOK')
        expect((errors[0] as SluicewayError).cause)
          .to.have.property('message')
          .that.contains('for an upgrade')
        if (body instanceof Readable) expect(body.destroyed).to.equal(true)
        client.destroy()
      })
    }

    describe('on raw sockets', () => {
      let upstream: ScriptedUpstream
      let client: RawClient
      /** Ends the response of the app. */
      let ended: (() => void) | undefined

      beforeEach(async () => {
        upstream = await scriptedUpstream()
        const app = express().use((_req, res, next) => {
          ended = () => void res.end()
          next()
        }, passthroughProxy(upstream.url))
        const { port } = await attached(app)
        client = await RawClient.connect(port)
      })

      /** Opens the tunnel; bytes may come right behind either head. */
      async function tunnelled(fromClient = '', fromUpstream = ''): Promise<RawClient> {
        client.write(`GET / HTTP/1.1\r\nHost: test\r\n${HANDSHAKE}\r\n${fromClient}`)
        const connection = await upstream.connection()
        await connection.untilText('\r\n\r\n')
        connection.write(SWITCH + fromUpstream)
        await client.untilText('\r\n\r\n')
        return connection
      }

      it('passes on the handshake without the other headers that Connection names', async () => {
        client.write(
          'GET /chat HTTP/1.1\r\nHost: test\r\nConnection: keep-alive, Upgrade, X-Foo\r\nX-Foo: 1\r\n' +
            'Upgrade: WebSocket\r\nSec-WebSocket-Key: abc\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n',
        )
        const connection = await upstream.connection()
        const seen = await connection.untilText('\r\n\r\n')
        expect(seen).to.match(/^GET \/chat HTTP\/1\.1\r\n/)
        expect(seen).to.match(/\r\nconnection: upgrade\r\nupgrade: WebSocket\r\n/i)
        expect(seen).to.contain('Sec-WebSocket-Key: abc\r\nSec-WebSocket-Extensions: permessage-deflate\r\n')
        expect(seen).not.to.contain('X-Foo')
        connection.write(
          'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade, X-Bar\r\nX-Bar: 1\r\n' +
            'Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nSec-WebSocket-Accept: def\r\n\r\n',
        )
        const head = await client.untilText('\r\n\r\n')
        expect(head).to.match(/^HTTP\/1\.1 101 Switching Protocols\r\n/)
        expect(head).to.match(/\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n/i)
        expect(head).to.contain('Sec-WebSocket-Accept: def\r\n')
        expect(head).to.contain('Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n')
        expect(head).not.to.match(/X-Bar|content-length|transfer-encoding/i)
      })

      it('ends a tunnel whose response the app ends', async () => {
        const connection = await tunnelled()
        ended?.()
        await Promise.all([client.closed(), connection.closed()])
      })

      it('keeps bytes that come right after the heads', async () => {
        const connection = await tunnelled('early-client', 'early-upstream')
        await connection.untilText('early-client')
        await client.untilText('early-upstream')
      })

      it('carries bytes both ways', async () => {
        const connection = await tunnelled()
        for (let n = 0; n < 3; n++) {
          client.write(`ping ${n}`)
          await connection.untilText(`ping ${n}`)
          connection.write(`pong ${n}`)
          await client.untilText(`pong ${n}`)
        }
      })

      for (const first of ['client', 'upstream'] as const) {
        for (const [how, lastWords] of [
          ['at once', ''],
          ['after a megabyte more', 'still here '.repeat(100_000)],
        ] as const) {
          it(`lets the other side go on after the ${first} has ended its half, and end ${how}`, async () => {
            const connection = await tunnelled()
            const [one, other] = first === 'client' ? [client, connection] : [connection, client]
            one.socket.end('last words')
            await other.untilText('last words')
            await other.closed()
            other.socket.end(lastWords)
            await one.until((bytes) => (bytes.length === lastWords.length ? true : undefined))
            await one.closed()
            expect(one.pending.equals(Buffer.from(lastWords))).to.equal(true)
          })
        }
      }

      it('keeps bytes that a client sends before the 101, and passes on its end', async () => {
        client.write(`GET / HTTP/1.1\r\nHost: test\r\n${HANDSHAKE}\r\n`)
        const connection = await upstream.connection()
        await connection.untilText('\r\n\r\n')
        client.socket.end('all I had to say')
        connection.write(SWITCH)
        await connection.untilText('all I had to say')
        await connection.closed()
        connection.socket.end('thank you')
        await client.untilText('thank you')
        await client.closed()
      })

      for (const [what, raw] of [
        ['403 with Content-Length', 'HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno'],
        ['200 in chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n'],
      ] as const) {
        it(`relays ${what}, and ends the connection`, async () => {
          client.write(`GET / HTTP/1.1\r\nHost: test\r\n${HANDSHAKE}\r\n`)
          const connection = await upstream.connection()
          await connection.untilText('\r\n\r\n')
          connection.write(raw)
          const response = await client.response()
          expect(response.status).to.equal(Number(raw.slice(9, 12)))
          expect(response.headers['connection']).to.deep.equal(['close'])
          expect(response.body.toString()).to.equal('no')
          await client.closed()
        })
      }

      it('relays a large answer to a client that reads slowly', async () => {
        client.write(`GET / HTTP/1.1\r\nHost: test\r\n${HANDSHAKE}\r\n`)
        const connection = await upstream.connection()
        await connection.untilText('\r\n\r\n')
        client.socket.pause()
        const body = Buffer.alloc(8 * 1024 * 1024, 1)
        connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`)
        connection.write(body)
        setImmediate(() => client.socket.resume())
        expect((await client.response()).body.length).to.equal(body.length)
      })

      it('answers 502 if the upstream dies before its answer', async () => {
        client.write(`GET / HTTP/1.1\r\nHost: test\r\n${HANDSHAKE}\r\n`)
        const connection = await upstream.connection()
        await connection.untilText('\r\n\r\n')
        connection.socket.end()
        expect((await client.response()).status).to.equal(502)
        await client.closed()
      })

      for (const [what, lines] of [
        [
          'h2c',
          'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n',
        ],
        ['websocket beside h2c', 'Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n'],
        ['an unknown token', 'Connection: Upgrade\r\nUpgrade: TLS/1.2\r\n'],
      ] as const) {
        it(`serves ${what} as a plain request`, async () => {
          client.write(`GET /plain HTTP/1.1\r\nHost: test\r\n${lines}\r\n`)
          const connection = await upstream.connection()
          const seen = await connection.untilText('\r\n\r\n')
          expect(seen).to.match(/^GET \/plain /)
          expect(seen).not.to.match(/upgrade|h2c|http2/i)
          connection.write(answer())
          expect((await client.response()).body.toString()).to.equal('ok')
        })
      }

      it('keeps the connection of an h2c request for the next one', async () => {
        client.write(
          'GET /1 HTTP/1.1\r\nHost: test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n\r\n',
        )
        const connection = await upstream.connection()
        await connection.untilText('GET /1 ')
        connection.write(answer())
        await client.response()
        client.request('GET', '/2')
        await connection.untilText('GET /2 ')
        connection.write(answer())
        expect((await client.response()).status).to.equal(200)
      })

      for (const [what, head, body] of [
        ['Content-Length', 'Content-Length: 4', 'body'],
        ['chunks', 'Transfer-Encoding: chunked', `${asChunk('body').toString()}0\r\n\r\n`],
      ] as const) {
        it(`serves an upgrade with a body in ${what} as a plain request, body and all`, async () => {
          client.write(`POST / HTTP/1.1\r\nHost: test\r\n${HANDSHAKE}${head}\r\n\r\n${body}`)
          const connection = await upstream.connection()
          const seen = await connection.untilText('body')
          expect(seen).not.to.match(/upgrade/i)
          connection.write(answer())
          expect((await client.response()).status).to.equal(200)
          client.request('GET', '/next')
          await connection.untilText('GET /next')
        })
      }
    })

    it('serves an upgrade as a plain request if attach is not used', async () => {
      const upstream = await scriptedUpstream()
      const { port } = await serve(express().use(passthroughProxy(upstream.url)))
      const client = await RawClient.connect(port)
      client.write(`GET / HTTP/1.1\r\nHost: test\r\n${HANDSHAKE}\r\n`)
      const connection = await upstream.connection()
      expect(await connection.untilText('\r\n\r\n')).not.to.match(/upgrade/i)
      connection.write(answer())
      expect((await client.response()).status).to.equal(200)
    })

    it('tunnels the tokens that the option names', async () => {
      const upstream = await scriptedUpstream()
      const { port } = await attached(express().use(passthroughProxy(upstream.url, { upgrade: ['Own/1'] })))
      const client = await RawClient.connect(port)
      client.write('GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket, own/1\r\n\r\n')
      const connection = await upstream.connection()
      expect(await connection.untilText('\r\n\r\n')).to.match(/\r\nupgrade: own\/1\r\n/)
      connection.write(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: own/1\r\n\r\nhello',
      )
      expect(await client.untilText('hello')).to.match(/\r\nUpgrade: own\/1\r\n/)
    })
  })
}
