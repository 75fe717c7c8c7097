import { Readable } from 'node:stream'
import { expect } from 'chai'
import { bodyCache } from 'sluiceway/body-cache'
import { maxBytes } from 'sluiceway/max-bytes'
import { asChunk, lastChunk, RawClient } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { closeServers, serve } from '../support/servers/servers.js'

/*
 * Adapters make a `Request` of each request, with `Readable.toWeb(req)` as its body, and may answer without reading
 * it. The web stream listens to the request and pauses it, which looked like a reader at work: the connection was held
 * for it, and the next request on it got no answer.
 */

const LENGTH = 100_000
const LENGTH_LINE = `Content-Length: ${LENGTH}`
const head = (...lines: readonly string[]): string =>
  ['POST / HTTP/1.1', 'Host: a', ...lines, '\r\n'].join('\r\n')

const answerUnread: Handler = (req, res) => {
  Readable.toWeb(req)
  res.end('unread')
}

const mounted: Record<string, () => readonly Handler[]> = {
  maxBytes: () => [maxBytes('10mb')],
  bodyCache: () => [bodyCache()],
  'both of them': () => [maxBytes('10mb'), bodyCache({ memory: 1000 })],
}

for (const { name, mount } of hosts) {
  describe(`a web stream of a request that nobody reads, on ${name}`, () => {
    afterEach(closeServers)

    for (const [title, middlewares] of Object.entries(mounted)) {
      it(`lets the next request be served, behind ${title}`, async () => {
        const { port } = await serve(mount(...middlewares(), answerUnread))
        const client = await RawClient.connect(port)
        for (const _round of [1, 2, 3]) {
          client.write(head(LENGTH_LINE), Buffer.alloc(LENGTH))
          expect(String((await client.response()).body)).to.equal('unread')
          client.write(head('Transfer-Encoding: chunked'), asChunk(Buffer.alloc(LENGTH)))
          expect(String((await client.response()).body)).to.equal('unread')
          client.write(lastChunk)
        }
        client.destroy()
      })

      it(`lets the connection close, behind ${title}`, async () => {
        const { port } = await serve(mount(...middlewares(), answerUnread))
        const client = await RawClient.connect(port)
        client.write(head('Connection: close', LENGTH_LINE), Buffer.alloc(LENGTH))
        expect(String((await client.response()).body)).to.equal('unread')
        await client.closed()
      })

      it(`does not hide that a large rest is left, behind ${title}`, async () => {
        const { port } = await serve(mount(...middlewares(), answerUnread))
        const client = await RawClient.connect(port)
        client.write(head('Content-Length: 1000000'))
        expect((await client.response()).headers['connection']).to.deep.equal(['close'])
        client.destroy()
      })
    }
  })
}
