import type { IncomingMessage, ServerResponse } from 'node:http'
import { expect } from 'chai'
import { attach } from 'sluiceway/attach'
import { passthroughProxy } from 'sluiceway/passthrough-proxy'
import { RawClient } from '../../support/clients/raw-client.js'
import { collectedBytes } from '../../support/process/memory.js'
import { closeServers, serve } from '../../support/servers/servers.js'

const COUNT = 40
const KB = 1024

/** Answers with an event now, and with one more for each byte of `more`. */
const events = new Set<ServerResponse>()
function stream(_req: IncomingMessage, res: ServerResponse): void {
  events.add(res.writeHead(200, { 'Content-Type': 'text/event-stream' }))
  res.write('data: 1\n\n')
}

async function proxied(): Promise<number> {
  const upstream = await serve(stream)
  upstream.server.on('upgrade', (_req, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nhello')
    socket.on('end', () => socket.end())
  })
  const proxy = passthroughProxy(upstream.url, { upgrade: ['x'] })
  const front = await serve((req, res) => proxy(req, res, () => res.writeHead(502).end()))
  attach(front.server, (req, res) => proxy(req, res, () => res.writeHead(502).end()))
  return front.port
}

async function open(port: number, lines: string, awaited: string): Promise<RawClient> {
  const client = await RawClient.connect(port)
  client.write(`GET / HTTP/1.1\r\nHost: a\r\n${lines}\r\n`)
  await client.untilText(awaited)
  return client
}

describe('the memory of connections that wait', () => {
  afterEach(closeServers)

  for (const [what, lines, awaited] of [
    ['a stream of events', '', 'data: 1'],
    ['a tunnel', 'Connection: Upgrade\r\nUpgrade: x\r\n', 'hello'],
  ] as const) {
    it(`is small for ${what}`, async () => {
      const port = await proxied()
      const first = await open(port, lines, awaited)
      const before = await collectedBytes()
      const clients = [first]
      for (let n = 0; n < COUNT; n++) clients.push(await open(port, lines, awaited))
      expect((await collectedBytes()) - before).to.be.below(COUNT * 2 * KB)
      for (const client of clients) client.destroy()
    })
  }

  it('is given back by a stream that had much to say before', async () => {
    const port = await proxied()
    events.clear()
    const clients: RawClient[] = []
    for (let n = 0; n < COUNT; n++) clients.push(await open(port, '', 'data: 1'))
    const before = await collectedBytes()
    const large = 'x'.repeat(100 * KB)
    for (const res of events) res.write(large)
    for (const client of clients)
      await client.until(() => client.pending.length > large.length || undefined, 'all of it')
    for (let n = 2; n < 14; n++) {
      for (const res of events) res.write(`data: ${n}\n\n`)
      for (const client of clients) await client.untilText(`data: ${n}\n`)
    }
    expect((await collectedBytes()) - before).to.be.below(COUNT * 16 * KB)
    for (const client of clients) client.destroy()
  })
})
