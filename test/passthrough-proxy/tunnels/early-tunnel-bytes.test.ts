import { createServer, type RequestListener, type Server } from 'node:http'
import https from 'node:https'
import { expect } from 'chai'
import { attach } from 'sluiceway/attach'
import { passthroughProxy } from 'sluiceway/passthrough-proxy'
import { RawClient } from '../../support/clients/raw-client.js'
import { closeServers, listen } from '../../support/servers/servers.js'
import { certificate, key } from '../../support/servers/tls-certificate.js'

const HEAD = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'
/** The size of a first read, and of a record of TLS. */
const READ = 4096
const RECORD = 16_384

const upstreams: Readonly<Record<string, () => Server>> = {
  TCP: () => createServer(),
  TLS: () => https.createServer({ key, cert: certificate }),
}

/** No two places of it are alike. */
function bytesOf(length: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32BE(at, at)
  return bytes
}

async function tunnelTo(server: Server, scheme: string): Promise<RawClient> {
  const { port } = await listen(server)
  const proxy = passthroughProxy(`${scheme}://localhost:${port}`, {
    upgrade: ['x'],
    connect: { ca: certificate, family: 4 },
  })
  const app: RequestListener = (req, res) => proxy(req, res, (error) => res.writeHead(502).end(String(error)))
  const front = await listen(createServer(app))
  attach(front.server, app)
  const client = await RawClient.connect(front.port)
  client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
  return client
}

describe('the bytes that an upstream sends together with its 101', () => {
  afterEach(closeServers)

  for (const [transport, create] of Object.entries(upstreams)) {
    for (const length of [0, READ - HEAD.length - 1, READ - HEAD.length, READ, RECORD, 60_000, 600_000]) {
      it(`reach the client in their order: ${length} over ${transport}`, async () => {
        const early = bytesOf(length)
        const late = bytesOf(1000)
        const server = create()
        server.on('upgrade', (_req, socket) => {
          socket.write(Buffer.concat([Buffer.from(HEAD), early]))
          socket.once('data', () => socket.write(late))
        })
        const client = await tunnelTo(server, transport === 'TLS' ? 'https' : 'http')
        await client.untilText('\r\n\r\n')
        expect((await client.bytes(length)).equals(early)).to.equal(true)
        client.write('more')
        expect((await client.bytes(late.length)).equals(late)).to.equal(true)
        client.destroy()
      })
    }
  }
})
