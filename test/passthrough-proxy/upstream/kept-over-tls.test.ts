import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { Agent, type IncomingMessage, request, type RequestListener } from 'node:http'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { attach } from 'sluiceway/attach'
import { passthroughProxy } from 'sluiceway/passthrough-proxy'
import { RawClient } from '../../support/clients/raw-client.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { certificate } from '../../support/servers/tls-certificate.js'

/** Keeps this process busy, so that a response is there before Node hears that its request was written. */
function beBusy(milliseconds: number): void {
  const end = performance.now() + milliseconds
  while (performance.now() < end);
}

// The upstream is another process, as it answers while this one is busy.
describe('connections over TLS to a quick upstream', () => {
  let upstream: ChildProcess
  let proxied: number

  beforeEach(async () => {
    upstream = fork(fileURLToPath(new URL('quick-tls-upstream.js', import.meta.url)))
    const [port] = (await once(upstream, 'message')) as [number]
    const proxy = passthroughProxy(`https://localhost:${port}`, {
      connect: { ca: certificate, family: 4 },
      // An upgrade takes a kept connection only if there is no room for another one.
      maxConnections: 1,
    })
    const app: RequestListener = (req, res) => {
      // In this phase of the event loop, Node hears of a write only after the next reads.
      setImmediate(() => {
        proxy(req, res, (error) => res.writeHead(502).end(String(error)))
        beBusy(20)
      })
    }
    const front = await serve(app)
    attach(front.server, app)
    proxied = front.port
  })
  afterEach(closeServers)
  afterEach(async () => {
    upstream.disconnect()
    await once(upstream, 'exit')
  })

  const requests: Record<string, { readonly method: string; readonly parts: readonly string[] }> = {
    GET: { method: 'GET', parts: [] },
    POST: { method: 'POST', parts: ['a body'] },
    'POST in chunks': { method: 'POST', parts: ['a ', 'body'] },
  }
  for (const [what, { method, parts }] of Object.entries(requests)) {
    it(`are kept: ${what}`, async () => {
      const agent = new Agent({ keepAlive: true })
      const seen = new Set<string>()
      for (let n = 0; n < 10; n++) {
        const sending = request({ port: proxied, agent, method })
        // Of several parts, Node makes chunks.
        for (const part of parts.slice(1)) sending.write(part)
        sending.end(parts[0])
        const [response] = (await once(sending, 'response')) as [IncomingMessage]
        expect(response.statusCode).to.equal(200)
        seen.add(await text(response))
      }
      agent.destroy()
      expect([...seen]).to.deep.equal(['1'])
    })
  }

  it('may become tunnels', async () => {
    const first = await RawClient.connect(proxied)
    first.request('GET', '/')
    await first.response()
    const client = await RawClient.connect(proxied)
    client.write('GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    expect(await client.untilText('hello')).to.match(/^HTTP\/1\.1 101 /)
  })
})
