import { createServer, type RequestListener } from 'node:http'
import { expect } from 'chai'
import { attach } from 'sluiceway'
import { message, upgradeTo } from '../support/clients/pipelined.js'
import { RawClient } from '../support/clients/raw-client.js'
import { attached } from '../support/servers/attached.js'
import { closeServers, listen } from '../support/servers/servers.js'

const UPGRADE = upgradeTo('websocket', '/')
const EXPECTING = message('POST / HTTP/1.1', 'Host: test', 'Expect: 100-continue', 'Content-Length: 4')

function throws(): never {
  throw new Error('oops')
}

// The test hooks fail a test during which an exception or a rejection reached the process.
describe('attach with an app that fails', () => {
  afterEach(closeServers)

  for (const [what, app, bytes] of [
    ['throws on an upgrade', throws, UPGRADE],
    [
      'throws on an upgrade, its head being sent',
      (_req, res) => {
        res.writeHead(101).flushHeaders()
        throws()
      },
      UPGRADE,
    ],
    ['rejects on an upgrade', async () => Promise.reject(new Error('oops')), UPGRADE],
    ['throws on a request with Expect', throws, EXPECTING],
  ] as [string, RequestListener, string][]) {
    it(`ends only the connection on which the app ${what}`, async () => {
      const { port } = await attached(app)
      const client = await RawClient.connect(port)
      client.write(bytes)
      await client.closed()
    })
  }

  it('ends the connection when the app throws on an upgrade that waited for the answer before it', async () => {
    const server = createServer((_req, res) => res.end('first'))
    attach(server, throws)
    const client = await RawClient.connect((await listen(server)).port)
    client.write(message('GET / HTTP/1.1', 'Host: test'), UPGRADE)
    expect(String((await client.response()).body)).to.equal('first')
    await client.closed()
  })
})
