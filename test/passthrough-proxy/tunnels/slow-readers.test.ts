import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import net, { type Socket } from 'node:net'
import { setTimeout as later } from 'node:timers/promises'
import { expect } from 'chai'
import { passthroughProxy } from 'sluiceway'
import { closed } from '../../support/process/open-resources.js'
import { attached } from '../../support/servers/attached.js'
import { closeServers, listen } from '../../support/servers/servers.js'

const HANDSHAKE = 'GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
const PIECE = Buffer.alloc(10_000, 'x')

/** An open tunnel, whose client does not read. */
interface Tunnel {
  readonly client: Socket
  /** The upstream's side of its connection. */
  readonly upstream: Socket
  /** The proxy's side of its two connections. */
  readonly toClient: Socket
  readonly toUpstream: Socket
}

async function openTunnel(): Promise<Tunnel> {
  const server = net.createServer({ allowHalfOpen: true })
  const { port } = await listen(server)
  const proxy = passthroughProxy(`http://127.0.0.1:${port}`)
  const front = await attached((req, res) => proxy(req, res))
  const client = net.connect({ port: front.port, host: '127.0.0.1' }).on('error', () => {})
  const opened: Socket[] = []
  const note = (message: unknown): void => void opened.push((message as { socket: Socket }).socket)
  subscribe('net.client.socket', note)
  client.write(HANDSHAKE)
  const [upstream] = (await once(server, 'connection')) as [Socket]
  unsubscribe('net.client.socket', note)
  await once(
    upstream.on('error', () => {}),
    'data',
  )
  upstream.write(SWITCH)
  await once(client, 'readable')
  return { client, upstream, toClient: front.connections[0] as Socket, toUpstream: opened[0] as Socket }
}

/** Sends pieces, each when the proxy has read the one before, until it holds some. Returns the bytes for the client. */
async function fill({ upstream, toClient }: Tunnel, isHeld: () => boolean): Promise<number> {
  let written = toClient.bytesWritten
  while (!isHeld()) {
    upstream.write(PIECE)
    written += PIECE.length
    while (toClient.bytesWritten < written) await later(0)
  }
  return written
}

/** Reads all that still comes. */
async function receivedBy(client: Socket): Promise<number> {
  let received = 0
  client.on('data', (bytes: Buffer) => (received += bytes.length))
  await closed(client)
  return received
}

describe('a passthroughProxy tunnel whose client reads slowly', () => {
  afterEach(closeServers)

  it('delivers what it has read of an upstream that has closed, although its client still writes', async () => {
    const tunnel = await openTunnel()
    const { client, upstream, toClient } = tunnel
    const written = await fill(tunnel, () => toClient.writableNeedDrain)
    // The proxy, which waits for its client, leaves the end unread behind these bytes.
    upstream.write(PIECE)
    upstream.destroySoon()
    await closed(upstream)
    for (let times = 0; times < 4; times += 1) {
      client.write('are you there?')
      await later(10)
    }
    expect(await receivedBy(client)).to.equal(written)
  })

  // Over TLS, the end of an upstream may come without one of TCP: the connection is then reset by what still comes.
  it('delivers the last bytes of an upstream that has ended, although its connection is reset after that', async () => {
    const tunnel = await openTunnel()
    const { client, upstream, toClient, toUpstream } = tunnel
    const written = await fill(tunnel, () => toClient.writableLength > 0)
    upstream.end()
    await once(toUpstream, 'end')
    toUpstream.destroy(Object.assign(new Error('write ECONNRESET'), { code: 'ECONNRESET' }))
    expect(await receivedBy(client)).to.equal(written)
    upstream.destroy()
  })
})
