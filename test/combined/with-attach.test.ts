import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { expect } from 'chai'
import rawBody from 'raw-body'
import { attach, bodyCache, maxBytes } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { closeServers, listen } from '../support/servers/servers.js'
import { until } from '../support/time/until.js'

const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n'

for (const { name, mount } of hosts) {
  describe(`attach with Expect: 100-continue and the body middlewares on ${name}`, () => {
    afterEach(closeServers)

    async function ask(length: number, ...handlers: Handler[]): Promise<RawClient> {
      const app = mount(...handlers)
      const server = createServer(app)
      attach(server, app)
      const client = await RawClient.connect((await listen(server)).port)
      client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\nExpect: 100-continue\r\n\r\n`)
      return client
    }

    it('answers an over-long request with 413 and never 100 Continue', async () => {
      const client = await ask(11, maxBytes(10), (req, res) => void text(req).then(() => res.end()))
      const { status, headers } = await client.response()
      expect([status, headers['connection']]).to.deep.equal([413, ['close']])
    })

    const readers: Record<string, Handler> = {
      'req itself': (req, res) => void text(req).then((body) => res.end(body)),
      'bodyCache.text()': (req, res) => void req.bodyCache.text().then((body) => res.end(body)),
      'bodyCache.stream()': (req, res) => void req.bodyCache.stream().pipe(res),
      'req, a little later': (req, res) =>
        void setImmediate(() => void text(req).then((body) => res.end(body))),
    }
    for (const [reader, handler] of Object.entries(readers)) {
      it(`invites the body when the handler reads ${reader}`, async () => {
        const client = await ask(4, maxBytes(10), bodyCache(), handler)
        expect(await client.untilText('\r\n\r\n')).to.equal(CONTINUE)
        client.write('body')
        expect((await client.response()).body.toString()).to.equal('body')
        client.destroy()
      })
    }

    it('replays an invited body, even after a reader that gave up', async () => {
      const body = 'body'.repeat(100_000)
      const client = await ask(body.length, bodyCache(), async (req, res) => {
        for await (const chunk of req) if (String(chunk).length > 0) break
        const failure = await pipeline(req, async function* fail(source: AsyncIterable<Buffer>) {
          for await (const chunk of source) yield Promise.reject(new Error(`at ${chunk.length > 0}`))
        }).catch((error: Error) => error.message)
        // The buffer of the request is full before the next reader comes.
        await until(() => req.readableLength >= req.readableHighWaterMark)
        const all = [await rawBody(req, 'utf8'), await text(req)]
        res.end(JSON.stringify([failure, ...all.map((read) => read === body)]))
      })
      expect(await client.untilText('\r\n\r\n')).to.equal(CONTINUE)
      client.write(body)
      expect(JSON.parse((await client.response()).body.toString())).to.deep.equal(['at true', true, true])
      client.destroy()
    })

    it('does not invite the body when the request is answered unread', async () => {
      const client = await ask(4, maxBytes(10), bodyCache(), (_req, res) => {
        res.statusCode = 403
        res.end()
      })
      const { status, headers } = await client.response()
      expect([status, headers['connection']]).to.deep.equal([403, ['close']])
    })

    it('does not invite the body when there is no handler', async () => {
      const client = await ask(4, maxBytes(10), bodyCache())
      expect((await client.response()).status).to.equal(404)
    })
  })
}
