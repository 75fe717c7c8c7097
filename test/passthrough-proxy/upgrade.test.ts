import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'

import { expect } from 'chai'
import { attach, passthroughProxy } from 'sluiceway'
import { WebSocket, WebSocketServer } from 'ws'

import { expressVersions } from '../support/express-versions.js'
import { asChunk, RawClient } from '../support/raw-client.js'
import { answer, scriptedUpstream, type ScriptedUpstream } from '../support/scripted-upstream.js'
import { closeServers, listen, serve, type TestServer } from '../support/servers.js'

const HANDSHAKE = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n'
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

/** An app with `attach`. */
function attached(app: RequestListener): Promise<TestServer> {
  const server = createServer(app)
  attach(server, app)
  return listen(server)
}

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy upgrades (${name})`, () => {
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

    describe('with the ws package', () => {
      let sockets: WebSocketServer[]

      beforeEach(() => {
        sockets = []
      })
      afterEach(() => {
        for (const server of sockets) server.close()
      })

      async function echo(prefix: string): Promise<string> {
        const { server, url } = await serve((_req, res) => res.end())
        const webSockets = new WebSocketServer({
          server,
          handleProtocols: (offered) => [...offered].at(-1) ?? false,
        })
        sockets.push(webSockets)
        webSockets.on('connection', (socket, req) => {
          socket.send(`${prefix} ${req.url}`)
          socket.on('message', (data, binary) => socket.send(data, { binary }))
        })
        return url
      }

      it('tunnels to the proxy whose path it is, subprotocol included, first bytes kept', async () => {
        const app = express()
        app.use('/one', passthroughProxy(await echo('first')))
        app.use('/two', passthroughProxy(await echo('second')))
        const { port } = await attached(app)
        for (const [path, greeting] of [
          ['/one/a?b', 'first /a?b'],
          ['/two', 'second /'],
        ] as const) {
          const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, ['chat', 'superchat'])
          const [message] = await once(socket, 'message')
          expect(String(message)).to.equal(greeting)
          expect(socket.protocol).to.equal('superchat')
          const bytes = Buffer.alloc(200_000, 7)
          socket.send(bytes)
          const [echoed] = await once(socket, 'message')
          expect((echoed as Buffer).equals(bytes)).to.equal(true)
          socket.close(4001, 'bye')
          expect((await once(socket, 'close'))[0]).to.equal(4001)
        }
      })

      it('lets the app refuse with 401 before the upstream hears of it', async () => {
        const app = express()
        app.use((req, res, next) =>
          req.headers.authorization ? next() : void res.status(401).send('who are you?'),
        )
        app.use(passthroughProxy(await echo('private')))
        const { port } = await attached(app)
        const stranger = new WebSocket(`ws://127.0.0.1:${port}/`)
        const [, response] = await once(stranger, 'unexpected-response')
        expect(response.statusCode).to.equal(401)
        expect(response.headers.connection).to.equal('close')
        stranger.on('error', () => {})
        stranger.terminate()
        const friend = new WebSocket(`ws://127.0.0.1:${port}/`, { headers: { authorization: 'yes' } })
        expect(String((await once(friend, 'message'))[0])).to.equal('private /')
        friend.terminate()
      })

      it('needs one listener for fifty proxies', async () => {
        const warnings: Error[] = []
        const onWarning = (warning: Error): void => void warnings.push(warning)
        process.on('warning', onWarning)
        const app = express()
        for (let n = 0; n < 50; n++) app.use(`/${n}`, passthroughProxy('http://127.0.0.1:9'))
        app.use('/last', passthroughProxy(await echo('last')))
        const server = createServer(app)
        for (let n = 0; n < 50; n++) attach(server, app)
        const { port } = await listen(server)
        const socket = new WebSocket(`ws://127.0.0.1:${port}/last`)
        await once(socket, 'message')
        expect(server.listenerCount('upgrade')).to.equal(1)
        socket.terminate()
        process.off('warning', onWarning)
        expect(warnings).to.deep.equal([])
      })
    })

    describe('on raw sockets', () => {
      let upstream: ScriptedUpstream
      let client: RawClient

      beforeEach(async () => {
        upstream = await scriptedUpstream()
        const { port } = await attached(express().use(passthroughProxy(upstream.url)))
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

      it('passes the handshake on, stripped of what Connection names beside it', async () => {
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

      it('keeps bytes that come right behind the heads', async () => {
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

      it('lets the upstream go on after the client has ended its half', async () => {
        const connection = await tunnelled()
        client.socket.end('last words')
        await connection.untilText('last words')
        await connection.closed()
        connection.write('still here')
        await client.untilText('still here')
        connection.socket.end()
        await client.closed()
      })

      it('lets the client go on after the upstream has ended its half', async () => {
        const connection = await tunnelled()
        connection.socket.end('last words')
        await client.untilText('last words')
        await client.closed()
        client.write('still here')
        await connection.untilText('still here')
        client.socket.end()
        await connection.closed()
      })

      it('ends the upstream when the client breaks off', async () => {
        const connection = await tunnelled()
        client.socket.resetAndDestroy()
        await connection.closed()
      })

      it('ends the client when the upstream breaks off', async () => {
        const connection = await tunnelled()
        connection.socket.resetAndDestroy()
        await client.closed()
      })

      it('ends the upstream request when the client leaves before the answer', async () => {
        client.write(`GET / HTTP/1.1\r\nHost: test\r\n${HANDSHAKE}\r\n`)
        const connection = await upstream.connection()
        await connection.untilText('\r\n\r\n')
        client.socket.resetAndDestroy()
        await connection.closed()
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

      it('answers 502 where the upstream dies before its answer', async () => {
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

      it('keeps the connection of a h2c request for the next one', async () => {
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

    it('serves an upgrade as a plain request where attach is not used', async () => {
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
