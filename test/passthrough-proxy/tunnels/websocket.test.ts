import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { expect } from 'chai'
import { attach, passthroughProxy } from 'sluiceway'
import { WebSocket, WebSocketServer, type ClientOptions } from 'ws'
import { expressVersions } from '../../support/express/express-versions.js'
import { attached } from '../../support/servers/attached.js'
import { closeServers, listen, serve } from '../../support/servers/servers.js'

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy with the ws package (${name})`, () => {
    let upstreams: WebSocketServer[]
    let clients: WebSocket[]

    beforeEach(() => {
      upstreams = []
      clients = []
    })
    afterEach(async () => {
      for (const socket of clients) socket.terminate()
      for (const server of upstreams) server.close()
      await closeServers()
    })

    /** Greets with its name and the path it was asked for, then says everything back. */
    async function echo(greeting: string): Promise<string> {
      const { server, url } = await serve((_req, res) => res.end())
      const webSockets = new WebSocketServer({
        server,
        perMessageDeflate: { threshold: 0 },
        handleProtocols: (offered) => [...offered].at(-1) ?? false,
      })
      upstreams.push(webSockets)
      webSockets.on('connection', (socket, req) => {
        socket.send(`${greeting} ${req.url}`)
        socket.on('message', (data, binary) => socket.send(data, { binary }))
      })
      return url
    }

    function connect(port: number, path = '/', protocols: string[] = [], options?: ClientOptions): WebSocket {
      const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols, options)
      clients.push(socket)
      return socket
    }

    /** A client that has been greeted, and the upstream's end of its connection. */
    async function connected(options?: ClientOptions): Promise<{ client: WebSocket; upstream: WebSocket }> {
      const target = await echo('hello')
      const arrived = once(upstreams[0] as WebSocketServer, 'connection')
      const client = connect((await attached(express().use(passthroughProxy(target)))).port, '/', [], options)
      await once(client, 'message')
      return { client, upstream: (await arrived)[0] as WebSocket }
    }

    it('tunnels through the proxy mounted at its path, on two servers, with subprotocol and first bytes', async () => {
      const app = express()
      app.use('/one', passthroughProxy(await echo('first')))
      app.use('/two', passthroughProxy(await echo('second')))
      for (const { port } of [await attached(app), await attached(app)]) {
        for (const [path, greeting] of [
          ['/one/a?b', 'first /a?b'],
          ['/two', 'second /'],
        ] as const) {
          const socket = connect(port, path, ['chat', 'superchat'])
          const [message] = await once(socket, 'message')
          expect(String(message)).to.equal(greeting)
          expect(socket.protocol).to.equal('superchat')
        }
      }
    })

    it('lets the app refuse with 401 before the upstream gets the request', async () => {
      const app = express()
      app.use((req, res, next) =>
        req.headers.authorization ? next() : void res.status(401).send('who are you?'),
      )
      app.use(passthroughProxy(await echo('private')))
      const { port } = await attached(app)
      let asked = 0
      upstreams[0]?.on('connection', () => (asked += 1))
      const stranger = connect(port)
      const [, response] = await once(stranger, 'unexpected-response')
      expect(response.statusCode).to.equal(401)
      expect(response.headers.connection).to.equal('close')
      stranger.on('error', () => {})
      expect(asked).to.equal(0)
      const friend = connect(port, '/', [], { headers: { authorization: 'yes' } })
      expect(String((await once(friend, 'message'))[0])).to.equal('private /')
    })

    it('needs one listener for fifty proxies', async () => {
      const app = express()
      for (let n = 0; n < 50; n++) app.use(`/${n}`, passthroughProxy('http://127.0.0.1:9'))
      app.use('/last', passthroughProxy(await echo('last')))
      const server = createServer(app)
      for (let n = 0; n < 50; n++) attach(server, app)
      const { port } = await listen(server)
      await once(connect(port, '/last'), 'message')
      expect(server.listenerCount('upgrade')).to.equal(1)
      // No MaxListenersExceededWarning either: every test is watched for warnings.
    })

    for (const [how, perMessageDeflate] of [
      ['as they are', false],
      ['with per-message deflate', { threshold: 0 }],
    ] as const) {
      it(`carries large messages in fragments, ${how}`, async () => {
        const { client, upstream } = await connected({ perMessageDeflate })
        expect(client.extensions).to.equal(perMessageDeflate ? 'permessage-deflate' : '')
        expect(upstream.extensions).to.equal(client.extensions)
        // Half of it can be compressed, half of it cannot.
        const part = Buffer.concat([randomBytes(512 * 1024), Buffer.alloc(512 * 1024, 'sluice')])
        for (let n = 0; n < 8; n++) client.send(part, { binary: true, fin: n === 7 })
        const [message, binary] = await once(client, 'message')
        expect(binary).to.equal(true)
        expect((message as Buffer).equals(Buffer.concat(Array.from({ length: 8 }, () => part)))).to.equal(
          true,
        )
      })
    }

    it('carries pings and pongs with their data, both ways, also between fragments', async () => {
      const { client, upstream } = await connected()
      for (const [one, other] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        const pinged = once(other, 'ping')
        one.send('first half, ', { fin: false })
        one.ping('are you there?')
        expect(String((await pinged)[0])).to.equal('are you there?')
        expect(String((await once(one, 'pong'))[0])).to.equal('are you there?')
        const heard = once(client, 'message')
        one.send('second half')
        expect(String((await heard)[0])).to.equal('first half, second half')
      }
    })

    for (const closer of ['client', 'upstream'] as const) {
      it(`carries the close code and reason of the ${closer}`, async () => {
        const { client, upstream } = await connected()
        const [one, other] = closer === 'client' ? [client, upstream] : [upstream, client]
        one.close(4001, 'enough for today')
        const [[code, reason], [echoed]] = await Promise.all([once(other, 'close'), once(one, 'close')])
        expect([code, String(reason), echoed]).to.deep.equal([4001, 'enough for today', 4001])
      })

      it(`shows the other side that the ${closer} closed abnormally (1006)`, async () => {
        const { client, upstream } = await connected()
        const [one, other] = closer === 'client' ? [client, upstream] : [upstream, client]
        one.terminate()
        expect((await once(other, 'close'))[0]).to.equal(1006)
      })
    }
  })
}
