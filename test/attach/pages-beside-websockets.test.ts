import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { expect } from 'chai'
import type { Express, RequestHandler } from 'express'
import { createProxyMiddleware } from 'http-proxy-middleware'
import { attach, type AttachOptions } from 'sluiceway'
import { WebSocketServer } from 'ws'
import { upgradeTo } from '../support/clients/pipelined.js'
import { RawClient } from '../support/clients/raw-client.js'
import { expressVersions } from '../support/express/express-versions.js'
import { closeServers, listen } from '../support/servers/servers.js'
import { answered, closeAll, HANDSHAKE, others } from './neighbors.js'

for (const { name, express } of expressVersions) {
  describe(`attach, with a page at the address of a WebSocket (${name})`, () => {
    let pages: string

    before(async () => {
      pages = await mkdtemp(join(tmpdir(), 'sluiceway-pages-'))
      await writeFile(join(pages, 'other'), 'page')
    })
    after(() => rm(pages, { recursive: true }))
    afterEach(closeAll)

    /** The line of docs/attach.md. */
    const leave: RequestHandler = (req, _res, next) => (req.headers.upgrade ? next('router') : next())

    /** Each of them answers a GET for '/other'. */
    const answering: Record<string, (app: Express) => void> = {
      'a static file': (app) => app.use(express.static(pages)),
      'a page': (app) => app.get('/other', (_req, res) => void res.send('page')),
      'a handler for everything else': (app) => app.use((_req, res) => void res.status(404).send('page')),
    }

    /** An app whose login is in front of everything; without a cookie it refuses. */
    async function start(add: (app: Express) => void, isLeft: boolean): Promise<RawClient> {
      const app = express().set('env', 'test')
      app.use((req, res, next) => (req.headers.cookie ? next() : void res.sendStatus(401)))
      if (isLeft) app.use(leave)
      add(app)
      return serve(app as RequestListener, others['ws with { server, path }'])
    }

    const ask = (client: RawClient, ...lines: string[]): Promise<string> => {
      client.write(upgradeTo('websocket', '/other', ...HANDSHAKE, ...lines))
      return client.response().then(({ status }) => String(status))
    }

    for (const [what, add] of Object.entries(answering)) {
      it(`has ${what} answer an upgrade too`, async () => {
        const client = await start(add, false)
        expect(await ask(client, 'Cookie: a=b')).to.equal(what.endsWith('else') ? '404' : '200')
      })

      it(`leaves the upgrade to the WebSocket before ${what}, behind the login`, async () => {
        expect(await ask(await start(add, true), 'Cookie: a=b')).to.equal('101')
        expect(await ask(await start(add, true))).to.equal('401')
        const client = await start(add, true)
        client.request('GET', '/other', { Cookie: 'a=b' })
        expect((await client.response()).body.toString()).to.equal('page')
      })
    }

    it("has the app's own 404 for an upgrade that is left without another listener", async () => {
      const app = express().set('env', 'test').use(leave)
      answering['a page']!(app)
      expect(await answered(await serve(app as RequestListener), '/other')).to.equal('404')
    })
  })

  describe(`attach beside http-proxy-middleware (${name})`, () => {
    let target: string
    let sockets: WebSocketServer

    beforeEach(async () => {
      const { server, url } = await listen(createServer((_req, res) => res.end('up')))
      target = url
      sockets = new WebSocketServer({ server })
      sockets.on('headers', (lines) => lines.push('X-By: upstream'))
    })
    afterEach(async () => {
      sockets.close()
      for (const socket of sockets.clients) socket.terminate()
      await closeServers()
    })

    it('gives it its upgrades by the option', async () => {
      const proxy = createProxyMiddleware({ target, pathFilter: '/chat' })
      const app = express().set('env', 'test').use(proxy)
      const listener = proxy.upgrade as (req: IncomingMessage, socket: Duplex, head: Buffer) => void
      const client = await serve(app as RequestListener, (server) => void server.on('upgrade', listener), {
        upgrade: () => false,
      })
      expect(await answered(client, '/chat')).to.equal('upstream')
      client.destroy()
    })

    it('gives it its upgrades by a line before it, even if it subscribes with its first request', async () => {
      const app = express().set('env', 'test')
      app.use((req, _res, next) => (req.headers.upgrade ? next('router') : next()))
      app.use(createProxyMiddleware({ target, ws: true, pathFilter: '/chat' }))
      const first = await serve(app as RequestListener)
      first.request('GET', '/chat')
      expect((await first.response()).body.toString()).to.equal('up')
      const client = await RawClient.connect(first.socket.remotePort as number)
      expect(await answered(client, '/chat')).to.equal('upstream')
      client.destroy()
    })
  })
}

async function serve(
  app: RequestListener,
  add: (server: Server) => void = () => {},
  options?: AttachOptions,
): Promise<RawClient> {
  const server = createServer(app)
  attach(server, app, options)
  add(server)
  return RawClient.connect((await listen(server)).port)
}
