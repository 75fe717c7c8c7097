import { once } from 'node:events'
import { createServer } from 'node:http'
import { expect } from 'chai'
import { attach } from 'sluiceway'
import { WebSocket, WebSocketServer } from 'ws'
import { RawClient } from '../support/clients/raw-client.js'
import { expressVersions } from '../support/express/express-versions.js'
import { attached } from '../support/servers/attached.js'
import { closeServers } from '../support/servers/servers.js'
import { waitFor } from '../support/time/waiting.js'

const UPGRADE = 'GET /none HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

for (const { name, express } of expressVersions) {
  async function clientOf(app: ReturnType<typeof express>): Promise<RawClient> {
    return RawClient.connect((await attached(app)).port)
  }

  describe(`attach with upgrades (${name})`, () => {
    afterEach(closeServers)

    it("answers an upgrade that no handler takes with the app's own 404", async () => {
      const client = await clientOf(express())
      client.write(UPGRADE)
      const response = await client.response()
      expect(response.status).to.equal(404)
      expect(response.body.toString()).to.contain('Cannot GET /none')
      await client.closed()
    })

    it('lets a route answer 426, with headers and body', async () => {
      const app = express()
      app.get('/none', (_req, res) => {
        res.status(426).set('Upgrade', 'other').json({ not: 'here' })
      })
      const client = await clientOf(app)
      client.write(UPGRADE)
      const response = await client.response()
      expect(response.status).to.equal(426)
      expect(response.headers['upgrade']).to.deep.equal(['other'])
      expect(response.body.toString()).to.equal('{"not":"here"}')
      await client.closed()
    })

    it('answers 500 when a handler throws', async () => {
      const app = express().use(() => {
        throw new Error('oops')
      })
      const client = await clientOf(app)
      client.write(UPGRADE)
      expect((await client.response()).status).to.equal(500)
      await client.closed()
    })

    it('emits close for the app if the client cuts the connection', async () => {
      const app = express()
      const left = new Promise<void>((resolve) => {
        app.use((_req, res) => {
          res.on('close', () => resolve())
          client.socket.resetAndDestroy()
        })
      })
      const client = await clientOf(app)
      client.write(UPGRADE)
      await waitFor('the app to see its response closed', left)
      await client.closed()
    })

    it('leaves the connection to a handler that takes it over', async () => {
      const app = express()
      const sockets = new WebSocketServer({ noServer: true })
      app.get('/none', (req) => {
        sockets.handleUpgrade(req, req.socket, Buffer.alloc(0), (socket) => {
          socket.on('message', (data, binary) => socket.send(data, { binary }))
        })
      })
      const { port } = await attached(app)
      const client = new WebSocket(`ws://127.0.0.1:${port}/none`)
      await once(client, 'open')
      for (const word of ['one', 'two']) {
        client.send(word)
        expect(String((await once(client, 'message'))[0])).to.equal(word)
      }
      client.close(1000)
      expect((await once(client, 'close'))[0]).to.equal(1000)
    })

    it('gives the bytes that came with the head to a handler that takes the connection over', async () => {
      const { port } = await attached((req) => {
        req.socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n')
        req.socket.pipe(req.socket)
      })
      const client = await RawClient.connect(port)
      client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly ')
      await client.untilText('early ')
      client.write('later')
      await client.untilText('later')
      client.destroy()
    })

    for (const event of ['data', 'readable'] as const) {
      it(`lets a handler that reads the connection by '${event}' end it`, async () => {
        const app = express()
        app.get('/none', ({ socket }) => {
          socket.on(event, () => void socket.read())
          socket.on('end', () => setImmediate(() => socket.end('the last word')))
          socket.write('taken')
        })
        const client = await clientOf(app)
        client.write(UPGRADE)
        await client.untilText('taken')
        client.socket.end('early')
        await client.untilText('the last word')
        await client.closed()
      })
    }

    it('is undone by detach', async () => {
      const app = express()
      const server = createServer(app)
      const detach = attach(server, app)
      expect(attach(server, app)).to.equal(detach)
      detach()
      for (const event of ['upgrade', 'checkContinue']) expect(server.listenerCount(event)).to.equal(0)
      attach(server, app)
      expect(server.listenerCount('upgrade')).to.equal(1)
    })
  })
}

function ownApp(): void {}

describe('attach', () => {
  const server = createServer()

  it('refuses a second app on one server', () => {
    const detach = attach(server, ownApp)
    expect(() => attach(server, () => {})).to.throw(
      Error,
      /^attach: the server already has another app; .* \(see docs\/errors\.md#a-wrong-option\)$/,
    )
    detach()
  })

  for (const [what, args] of [
    ['no server', [undefined, ownApp]],
    ['an app for a server', [ownApp, ownApp]],
    ['no app', [server, undefined]],
    ['an object for an app', [server, {}]],
  ] as const) {
    it(`refuses ${what}`, () => {
      expect(() => attach(args[0] as never, args[1] as never)).to.throw(TypeError, /^attach: /)
    })
  }
})
