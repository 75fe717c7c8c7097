import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import { expect } from 'chai'
import { attach, passthroughProxy, type SluicewayError } from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { hasNginx, Nginx } from '../../support/servers/nginx.js'
import { request, unmarked } from '../../support/servers/proxied.js'
import { closeServers, listen, serve, type TestServer } from '../../support/servers/servers.js'

const HANDSHAKE = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: x']

async function statusOf(port: number, ...lines: readonly string[]): Promise<number> {
  const client = await RawClient.connect(port)
  client.write(request('GET', '/x', ...lines))
  const { status } = await client.response()
  client.destroy()
  return status
}

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy and loops (${name})`, () => {
    let codes: unknown[]

    beforeEach(() => {
      codes = []
    })
    afterEach(closeServers)

    /** A server whose only middleware is a proxy to what `target` gives by then. */
    async function proxyTo(target: (req: IncomingMessage) => string): Promise<TestServer> {
      const app = express().set('env', 'test').use(passthroughProxy(target))
      app.use((error: SluicewayError, _req: unknown, _res: unknown, next: (error: unknown) => void) => {
        codes.push(error.code)
        next(error)
      })
      const server = createServer(app as RequestListener)
      attach(server, app as RequestListener)
      return listen(server, { port: 0, host: '0.0.0.0' })
    }

    async function upstream(): Promise<{ port: number; seen: string[][] }> {
      const seen: string[][] = []
      const { port } = await serve((req, res) => {
        seen.push(req.rawHeaders)
        res.end()
      })
      return { port, seen }
    }

    for (const host of ['127.0.0.1', 'localhost', '127.1.2.3']) {
      it(`answers 508 at the second passage if a proxy asks itself as ${host}`, async () => {
        const server: TestServer = await proxyTo(() => `http://${host}:${server.port}`)
        expect(await statusOf(server.port)).to.equal(508)
        expect(server.connections).to.have.length(2)
        expect(codes).to.deep.equal(['ERR_SLUICEWAY_PROXY_LOOP'])
      })
    }

    it('answers 508 even if the client names the mark in Connection', async () => {
      const server: TestServer = await proxyTo(() => `http://127.0.0.1:${server.port}`)
      expect(await statusOf(server.port, 'Connection: Sluiceway-Loop')).to.equal(508)
      expect(server.connections).to.have.length(2)
    })

    it('answers 508 to an upgrade, and to one whose prefix grows', async () => {
      const server: TestServer = await proxyTo(() => `http://127.0.0.1:${server.port}/again`)
      expect(await statusOf(server.port, ...HANDSHAKE)).to.equal(508)
      expect(server.connections).to.have.length(2)
    })

    it('answers 508 if another proxy leads back', async () => {
      const first: TestServer = await proxyTo(() => `http://127.0.0.1:${second.port}`)
      const second: TestServer = await proxyTo(() => `http://127.0.0.1:${first.port}`)
      expect(await statusOf(first.port)).to.equal(508)
      expect([first.connections.length, second.connections.length]).to.deep.equal([2, 1])
    })

    it('answers 508 if nginx leads back', async function () {
      if (!hasNginx()) this.skip()
      const server: TestServer = await proxyTo(() => nginx.url)
      const nginx = await Nginx.before(server.port)
      try {
        expect(await statusOf(server.port)).to.equal(508)
        expect(server.connections).to.have.length(2)
      } finally {
        await nginx.stop()
      }
    })

    it('answers 508 after some 80 passages if each passage makes its own proxy', async () => {
      const app = express().set('env', 'test')
      app.use((req, res, next) => {
        // They share their connections, of which the circle needs one for each passage.
        passthroughProxy(`http://127.0.0.1:${server.port}`)(req, res, next)
      })
      const server = await serve(app as RequestListener)
      expect(await statusOf(server.port)).to.equal(508)
      expect(server.connections.length).to.be.within(70, 90)
    })

    it('accepts a chain of proxies, each of which adds its mark', async () => {
      const last = await upstream()
      const second = await proxyTo(() => `http://127.0.0.1:${last.port}`)
      const first = await proxyTo(() => `http://127.0.0.1:${second.port}`)
      expect(await statusOf(first.port, 'Sluiceway-Loop: of-another', 'X-Own: 1')).to.equal(200)
      const [lines = []] = last.seen
      const marks = lines.filter((_, i) => lines[i - 1] === 'Sluiceway-Loop')
      expect(marks).to.have.length(3)
      expect(marks[0]).to.equal('of-another')
      expect(new Set(marks).size).to.equal(3)
    })

    it('lets one proxy pass a request twice, to different targets', async () => {
      const last = await upstream()
      const gateway: TestServer = await proxyTo(({ url = '' }) =>
        url.startsWith('/back') ? `http://127.0.0.1:${last.port}` : `http://127.0.0.1:${gateway.port}/back`,
      )
      expect(await statusOf(gateway.port)).to.equal(200)
      expect(codes).to.deep.equal([])
    })

    it('does not reveal the mark in answers, and lets a hook remove it', async () => {
      const { port, seen } = await upstream()
      const app = express().use(
        passthroughProxy(`http://127.0.0.1:${port}`, {
          onRequest: ({ headers }) => headers.delete('sluiceway-loop'),
        }),
      )
      const client = await RawClient.connect((await serve(app as RequestListener)).port)
      client.write(request('GET', '/'))
      const { head } = await client.response()
      client.destroy()
      expect(head).not.to.match(/sluiceway/i)
      expect(unmarked(seen[0] ?? [])).to.deep.equal(seen[0])
      expect(String(seen)).not.to.match(/sluiceway/i)
    })
  })
}
