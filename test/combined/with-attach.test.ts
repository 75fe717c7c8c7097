import { createServer, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { expect } from 'chai'
import rawBody from 'raw-body'
import { attach, autoFlush, bodyCache, maxBytes, passthroughProxy } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { scriptedUpstream } from '../support/servers/scripted-upstream.js'
import { closeServers, listen } from '../support/servers/servers.js'
import { MockedClock } from '../support/time/mocked-clock.js'
import { until } from '../support/time/until.js'

type Write = (this: ServerResponse, ...given: unknown[]) => boolean

const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n'

for (const { name, mount } of hosts) {
  describe(`attach with Expect: 100-continue and the body middlewares on ${name}`, () => {
    const clock = new MockedClock()
    afterEach(() => clock.restore())
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

    for (const [where, refusing] of Object.entries({
      maxBytes: () => maxBytes(10),
      bodyCache: () => bodyCache({ limit: 10 }),
    })) {
      for (const [how, begin] of Object.entries({
        'res.flushHeaders()': (res: ServerResponse) => res.flushHeaders(),
        'res.write()': (res: ServerResponse) => res.write('begun'),
      })) {
        it(`never invites a body that ${where} refuses, even if the app then begins an answer by ${how}`, async () => {
          const refuse: Handler = (req, res, next) => refusing()(req, res, () => next())
          const client = await ask(11, refuse, (_req, res) => {
            begin(res)
            res.end()
          })
          expect((await client.response()).status).to.equal(413)
          await client.closed()
        })
      }
    }

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

    const WRAPPERS: Record<string, (write: Write, around: Write) => Write> = {
      'a proxy of it': (write, around) =>
        new Proxy(write, { apply: (_write, res, given) => around.apply(res, given) }),
      'a function that inherits from it, as dd-trace makes one': (write, around) =>
        Object.setPrototypeOf(around, write),
      'a function with its properties': (write, around) =>
        Object.defineProperties(around, Object.getOwnPropertyDescriptors(write)),
    }
    for (const [how, wrap] of Object.entries(WRAPPERS)) {
      it(`lets a middleware change the head of a proxied answer that replaces res.write by ${how}`, async () => {
        const upstream = await scriptedUpstream()
        const change: Handler = (_req, res, next) => {
          const write = Reflect.get(res, 'write') as Write
          res.write = wrap(write, function around(this: ServerResponse, ...given) {
            this.setHeader('X-Late', 'yes')
            return write.apply(this, given)
          }) as never
          next()
        }
        const client = await ask(4, change, passthroughProxy(upstream.url))
        expect(await client.untilText('\r\n\r\n')).to.equal(CONTINUE)
        client.write('body')
        const connection = await upstream.connectionWith('body')
        connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
        connection.write('2\r\nok\r\n')
        expect(await client.untilText('ok\r\n')).to.include('X-Late: yes\r\n')
        connection.write('0\r\n\r\n')
        await client.untilText('0\r\n\r\n')
        client.destroy()
      })
    }

    it('leaves the lines of a proxied answer in their order and case', async () => {
      const upstream = await scriptedUpstream()
      const client = await ask(4, passthroughProxy(upstream.url))
      expect(await client.untilText('\r\n\r\n')).to.equal(CONTINUE)
      client.write('body')
      const connection = await upstream.connectionWith('body')
      const lines = ['x-b: 1', 'X-A: 2', 'Set-Cookie: a', 'X-B: 3', 'Set-Cookie: b', 'Content-Length: 0']
      connection.write(`HTTP/1.1 200 OK\r\n${lines.join('\r\n')}\r\n\r\n`)
      expect((await client.response()).head).to.include(`${lines.join('\r\n')}\r\n`)
      client.destroy()
    })

    const replacing: Handler = (_req, res, next) => {
      res.end = res.end.bind(res)
      next()
    }
    for (const [where, before] of Object.entries({
      '': [],
      ', behind autoFlush': [autoFlush()],
      ', behind other code that replaces res.end, as express-session does': [replacing],
    })) {
      it(`sends the head of a proxied answer at once, without a byte of its body${where}`, async () => {
        const upstream = await scriptedUpstream()
        const client = await ask(4, ...before, passthroughProxy(upstream.url))
        await client.untilText('\r\n\r\n')
        client.write('body')
        const connection = await upstream.connectionWith('body')
        // A head that waits for a first byte would wait for ever.
        clock.stop()
        connection.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n')
        expect(await client.untilText('\r\n\r\n')).to.match(/^HTTP\/1.1 200 /)
        client.destroy()
      })
    }

    it('does not invite the body when there is no handler', async () => {
      const client = await ask(4, maxBytes(10), bodyCache())
      expect((await client.response()).status).to.equal(404)
    })
  })
}
