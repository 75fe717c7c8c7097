import { expect } from 'chai'
import { maxBytes } from 'sluiceway/max-bytes'
import { asChunk, lastChunk, RawClient } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { closeServers, serve } from '../support/servers/servers.js'

const announced = (length: number): string =>
  `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`
const CHUNKED = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'

const tellWhetherCounted: Handler = (req, res) => {
  const isCounted = Object.hasOwn(req, 'push')
  req.on('end', () => res.end(String(isCounted))).resume()
}

for (const { name, mount } of hosts) {
  describe(`maxBytes on ${name}, and the announced length of a body`, () => {
    afterEach(closeServers)

    // A method of its own costs a request 12 us on Node 20.
    for (const [title, request, isCounted] of [
      ['leaves it to the parser if it is within the limit', announced(3) + 'abc', 'false'],
      [
        'counts a body that leaves a large rest if nobody reads it',
        announced(300_000) + 'a'.repeat(300_000),
        'true',
      ],
      ['counts a body in chunks', CHUNKED + asChunk('abc') + lastChunk, 'true'],
    ] as const) {
      it(title, async () => {
        const { port } = await serve(mount(maxBytes('1mb'), tellWhetherCounted))
        const client = await RawClient.connect(port)
        client.write(request)
        expect(String((await client.response()).body)).to.equal(isCounted)
        client.destroy()
      })
    }

    it('counts the rest that comes after the answer', async () => {
      const bounds = { limit: '1mb', lingerMs: 60_000, lingerBytes: 1000 }
      const { port, server } = await serve(mount(maxBytes(bounds), (_req, res) => res.end('no')))
      server.keepAliveTimeout = 0
      const client = await RawClient.connect(port)
      client.write(announced(100_000), 'abc')
      await client.response()
      client.write(Buffer.alloc(50_000))
      await client.closed()
    })
  })
}
