import { createServer, type RequestListener } from 'node:http'
// The upstream accepted an upgrade with a head that Node would not write. By then the proxy considered the exchange
// to be over, and told no one: the client waited for ever.
import { expect } from 'chai'
import { attach, passthroughProxy, type SluicewayError } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { expressVersions } from '../support/express/express-versions.js'
import type { Handler } from '../support/express/hosts.js'
import { request } from '../support/servers/proxied.js'
import { scriptedUpstream } from '../support/servers/scripted-upstream.js'
import { closeServers, listen } from '../support/servers/servers.js'

const HANDSHAKE = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: x']

for (const { name, express } of expressVersions) {
  /** An upgrade that the upstream answers with 101 and these lines. */
  async function upgraded(
    lines: string,
    before: Handler = (_req, _res, next) => next(),
  ): Promise<{ client: RawClient; connection: RawClient; codes: unknown[] }> {
    const upstream = await scriptedUpstream()
    const codes: unknown[] = []
    const app = express().set('env', 'test').use(before, passthroughProxy(upstream.url))
    app.use((error: SluicewayError, _req: unknown, _res: unknown, next: (error: unknown) => void) => {
      codes.push(error.code ?? error.message)
      next(error)
    })
    const server = createServer(app as RequestListener)
    attach(server, app as RequestListener)
    const client = await RawClient.connect((await listen(server)).port)
    client.write(request('GET', '/', ...HANDSHAKE))
    const connection = await upstream.connection()
    await connection.untilText('\r\n\r\n')
    connection.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${lines}\r\n`,
    )
    return { client, connection, codes }
  }

  describe(`a 101 that cannot be passed on (${name})`, () => {
    afterEach(closeServers)

    for (const [what, lines] of [
      ['a Trailer line', 'Trailer: X-Sum\r\n'],
      ['a coding other than chunked', 'Transfer-Encoding: gzip\r\n'],
      ['a length that is none', 'Content-Length: 1e3\r\n'],
      ['a control character in a header', 'X-Bad: a\x01b\r\n'],
    ] as const) {
      it(`is a 502, and closes the upstream's connection: ${what}`, async () => {
        const { client, connection, codes } = await upgraded(lines)
        expect((await client.response()).status).to.equal(502)
        await connection.closed()
        await client.closed()
        expect(codes).to.deep.equal(['ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE'])
      })
    }

    it('is a 500 if the application makes writeHead fail', async () => {
      const { client, connection, codes } = await upgraded('', (_req, res, next) => {
        const writeHead = res.writeHead.bind(res)
        res.writeHead = () => {
          res.writeHead = writeHead
          throw new Error('careless')
        }
        next()
      })
      expect((await client.response()).status).to.equal(500)
      await connection.closed()
      expect(codes).to.deep.equal(['careless'])
    })

    it('is a cut if the head has been sent and the connections cannot be joined', async () => {
      const { client, connection, codes } = await upgraded('', (req, _res, next) => {
        req.socket.setNoDelay = () => {
          throw new Error('careless')
        }
        next()
      })
      expect(await client.untilText('\r\n\r\n')).to.match(/^HTTP\/1\.1 101 /)
      await client.closed()
      await connection.closed()
      expect(codes).to.deep.equal(['careless'])
    })
  })
}
