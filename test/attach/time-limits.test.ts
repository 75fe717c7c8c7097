import type { IncomingMessage, ServerResponse } from 'node:http'
import { expect } from 'chai'
import { message, transports, upgradeTo } from '../support/clients/pipelined.js'
import type { RawClient } from '../support/clients/raw-client.js'
import { closeServers, type TestServer } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'

const LIMIT_MS = 100

const UPGRADE = upgradeTo('websocket', '/')

function tellLimit(this: ServerResponse): void {
  this.statusCode = 503
  this.end('too slow')
}

function fail(): never {
  throw new Error('a listener for timeout failed')
}

// Node takes its own listener for 'timeout' from the connection of an upgrade.
for (const { name, serve, connect } of transports) {
  describe(`attach and the time limits of an app (${name})`, () => {
    let server: TestServer
    let client: RawClient

    async function begin(app: (req: IncomingMessage, res: ServerResponse) => void): Promise<void> {
      server = await serve(app)
      client = await connect(server.port)
    }
    afterEach(() => client.destroy())
    afterEach(closeServers)

    it('answers an upgrade for which res.setTimeout has run out', async () => {
      await begin((_req, res) => void res.setTimeout(LIMIT_MS, tellLimit))
      client.write(UPGRADE)
      const { status, body } = await client.response()
      expect([status, body.toString()]).to.deep.equal([503, 'too slow'])
    })

    for (const [method, set] of [
      ['res.setTimeout', (_req: IncomingMessage, res: ServerResponse) => res.setTimeout(LIMIT_MS)],
      ['req.setTimeout', (req: IncomingMessage) => req.setTimeout(LIMIT_MS, () => {})],
    ] as const) {
      it(`cuts an upgrade for which ${method} has run out, as it cuts a GET`, async () => {
        await begin((req, res) => void set(req, res))
        client.write(UPGRADE)
        await client.closed()
      })
    }

    it('cuts an upgrade for which server.setTimeout has run out', async () => {
      await begin(() => {})
      server.server.setTimeout(LIMIT_MS)
      client = await connect(server.port)
      client.write(UPGRADE)
      await client.closed()
    })

    it("leaves the connection to a listener of the server's 'timeout'", async () => {
      let answered: ServerResponse | undefined
      await begin((_req, res) => (answered = res.setTimeout(LIMIT_MS)))
      server.server.on('timeout', () => answered?.end('late'))
      client.write(UPGRADE)
      expect((await client.response()).body.toString()).to.equal('late')
    })

    it('tells the answer behind which an upgrade waits', async () => {
      await begin((req, res) => {
        if (req.url === '/slow') res.setTimeout(LIMIT_MS, tellLimit)
        else res.end('upgrade')
      })
      client.write(message('GET /slow HTTP/1.1', 'Host: test') + UPGRADE)
      expect((await client.response()).status).to.equal(503)
      expect((await client.response()).body.toString()).to.equal('upgrade')
    })

    it('ends only the connection whose listener throws', async () => {
      await begin((_req, res) => void res.setTimeout(LIMIT_MS, fail))
      client.write(UPGRADE)
      await client.closed()
    })

    it('sets none to a connection that a handler has taken over', async () => {
      let isTold = false
      const silence = deferred()
      await begin((req, res) => {
        res.setTimeout(LIMIT_MS, () => (isTold = true))
        // Behind the listener of attach.
        req.socket.on('timeout', silence.resolve)
        req.socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n')
        req.socket.on('data', (bytes: Buffer) => req.socket.write(bytes))
      })
      client.write(UPGRADE)
      await client.untilText('\r\n\r\n')
      await silence.promise
      client.write('echo')
      await client.untilText('echo')
      expect(isTold).to.equal(false)
    })
  })
}
