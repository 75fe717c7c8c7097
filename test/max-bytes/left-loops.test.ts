import type { IncomingMessage } from 'node:http'
import { PassThrough } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { expect } from 'chai'
import { maxBytes } from 'sluiceway/max-bytes'
import { asChunk, lastChunk, RawClient } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { MockedClock } from '../support/time/mocked-clock.js'

const head = (...lines: readonly string[]): string =>
  ['POST / HTTP/1.1', 'Host: a', ...lines, '\r\n'].join('\r\n')
const CHUNKED = 'Transfer-Encoding: chunked'

/* All of them destroy the request, whose connection lives on; a loop also leaves its listener behind. */
const ways: Readonly<Record<string, (req: IncomingMessage) => Promise<unknown>>> = {
  'a loop': async (req) => {
    for await (const _chunk of req) break
  },
  'take(1)': (req) => req.take(1).toArray(),
  // It destroys the request only after the answer.
  'find()': (req) => req.find(() => true),
  'a pipeline that fails': (req) => pipeline(req, new PassThrough().destroy()).catch(() => {}),
}

for (const { name, mount } of hosts) {
  describe(`maxBytes on ${name}, when ${Object.keys(ways).join(', ')} has left a body`, () => {
    afterEach(closeServers)

    for (const [how, leave] of Object.entries(ways)) {
      const handler: Handler = (req, res) => void leave(req).then(() => res.end('left'))

      it(`serves the next request behind the rest: ${how}`, async () => {
        const { port } = await serve(mount(maxBytes('1mb'), handler))
        const client = await RawClient.connect(port)
        for (const _round of [1, 2]) {
          client.write(head(CHUNKED), asChunk(Buffer.alloc(100_000)))
          expect(String((await client.response()).body)).to.equal('left')
          client.write(asChunk(Buffer.alloc(300_000)), lastChunk)
        }
        client.destroy()
      })

      it(`closes the connection if the client has asked for it: ${how}`, async () => {
        const { port } = await serve(mount(maxBytes('1mb'), handler))
        const client = await RawClient.connect(port)
        client.write(head('Connection: close', 'Content-Length: 200000'), Buffer.alloc(200_000))
        expect(String((await client.response()).body)).to.equal('left')
        await client.closed()
      })
    }
  })
}

for (const { name, mount } of hosts) {
  describe(`maxBytes on ${name}, when a reader is left that takes nothing more`, () => {
    const clock = new MockedClock()
    afterEach(() => clock.restore())
    afterEach(closeServers)

    it('closes the connection of a client that has asked for it', async () => {
      const pause: Handler = (req, res) => {
        req.on('data', () => void (req.pause().isPaused() && res.end('paused')))
      }
      const { port } = await serve(mount(maxBytes('1mb'), pause))
      const client = await RawClient.connect(port)
      clock.stop()
      client.write(head('Connection: close', 'Content-Length: 200000'), Buffer.alloc(200_000))
      expect(String((await client.response()).body)).to.equal('paused')
      for (let checks = 0; checks < 2; checks++) await clock.pass(10_000)
      await client.closed()
    })

    it('does not close it while the reader waits for the client', async () => {
      let received = 0
      const read: Handler = (req, res) => {
        res.end('accepted')
        req.on('data', (chunk: Buffer) => (received += chunk.length))
      }
      const { port } = await serve(mount(maxBytes('1mb'), read))
      const client = await RawClient.connect(port)
      clock.stop()
      client.write(head('Connection: close', 'Content-Length: 200000'), Buffer.alloc(100_000))
      await client.response()
      for (let checks = 0; checks < 3; checks++) await clock.pass(10_000)
      client.write(Buffer.alloc(100_000))
      await client.closed()
      expect(received).to.equal(200_000)
    })
  })
}
