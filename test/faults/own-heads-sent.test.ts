import { createServer, type RequestListener, type ServerResponse } from 'node:http'
import { expect } from 'chai'
import { attach, autoFlush, passthroughProxy } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { scriptedUpstream, type ScriptedUpstream } from '../support/servers/scripted-upstream.js'
import { closeServers, listen } from '../support/servers/servers.js'

/** Gives a response a `headersSent` of its own, as @fastify/express does. */
function takeHeadersSent(res: ServerResponse): void {
  Object.defineProperty(res, 'headersSent', { get: () => false, configurable: true })
}

describe('behind a framework with a headersSent of its own, passthroughProxy', () => {
  let upstream: ScriptedUpstream
  let client: RawClient
  afterEach(closeServers)

  async function start(): Promise<void> {
    upstream = await scriptedUpstream()
    const proxy = passthroughProxy(upstream.url)
    const flush = autoFlush()
    const app: RequestListener = (req, res) => {
      takeHeadersSent(res)
      const fail = (): void => void res.writeHead(502).end('failed')
      flush(req, res, () => proxy(req, res, fail))
    }
    const { server, port } = await listen(createServer(app))
    attach(server, app)
    client = await RawClient.connect(port)
  }

  it('sends a head that comes alone, and the body behind it', async () => {
    await start()
    client.request('GET', '/')
    const connection = await upstream.connection()
    connection.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 4\r\n\r\n')
    await client.untilText('\r\n\r\n')
    connection.write('body')
    await client.untilText('body')
  })

  it('cuts an answer that has begun when its upstream fails', async () => {
    await start()
    client.request('GET', '/')
    const connection = await upstream.connection()
    connection.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nb')
    await client.untilText('\r\n\r\nb')
    connection.destroy()
    await client.closed()
  })

  it('opens a tunnel', async () => {
    await start()
    client.write('GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n')
    const connection = await upstream.connection()
    const head = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n'
    connection.write(`${head}early`)
    expect(await client.untilText('early')).to.match(/^HTTP\/1\.1 101 /)
    client.write('up')
    await connection.untilText('up')
    client.destroy()
    await connection.closed()
  })
})
