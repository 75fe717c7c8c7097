import { AsyncLocalStorage } from 'node:async_hooks'
import { once } from 'node:events'
import http2, { type ClientHttp2Session } from 'node:http2'
import os from 'node:os'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { bodyCache, maxBytes } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { observing } from '../support/observed.js'
import { closeServers, listen, serve } from '../support/servers/servers.js'
import { until } from '../support/time/until.js'

const numbers = new AsyncLocalStorage<string>()

const inContext: Handler = (req, _res, next) => numbers.run(String(req.headers['x-number']), next)

const readAll: Handler = (req, res, next) => void text(req).then((body) => res.end(body), next)

for (const { name, mount } of hosts) {
  describe(`messages about bodies, on ${name}`, () => {
    const observer = observing()
    afterEach(closeServers)

    async function connect(...handlers: readonly Handler[]): Promise<RawClient> {
      const { port } = await serve(mount(...handlers))
      return RawClient.connect(port)
    }

    for (const [framing, body, received] of [
      ['announced as too large', 'x'.repeat(20), 0],
      ['in chunks that pass the limit', ['x'.repeat(8), 'y'.repeat(8)], 16],
    ] as const) {
      it(`are sent once for a refused body, ${framing}, in the context of its request`, async () => {
        const contexts: unknown[] = []
        observer.on('sluiceway:body:refused', () => contexts.push(numbers.getStore()))
        const refused = observer.messages('sluiceway:body:refused')
        const client = await connect(inContext, maxBytes(10), readAll)
        client.request('POST', '/up', { 'X-Number': '4' }, body as string | string[])
        expect((await client.response()).status).to.equal(413)
        expect(refused).to.have.length(1)
        const [{ req, res, error } = {} as never] = refused
        expect([req.url, res.req === req]).to.deep.equal(['/up', true])
        expect(error).to.include({ code: 'ERR_SLUICEWAY_BODY_TOO_LARGE', status: 413, limit: 10, received })
        expect(contexts).to.deep.equal(['4'])
      })
    }

    it('are sent once for a body that a smaller limit finds refused', async () => {
      const refused = observer.messages('sluiceway:body:refused')
      const [outer, inner] = [maxBytes(10), maxBytes(5)]
      const errors: unknown[] = []
      const goOn: Handler = (req, res, next) =>
        outer(req, res, (first) => inner(req, res, (second) => next(void errors.push(first, second))))
      const client = await connect(goOn, (_req, res) => res.end())
      client.request('POST', '/', {}, 'x'.repeat(20))
      expect((await client.response()).status).to.equal(413)
      expect(errors).to.deep.equal([refused[0]?.error, refused[0]?.error])
      expect(refused).to.have.length(1)
    })

    it('are sent for a body that comes too slowly', async () => {
      const refused = observer.messages('sluiceway:body:refused')
      const limits = maxBytes({ limit: 100, minRate: { bytesPerSecond: 100, graceMs: 20 } })
      const client = await connect(limits, readAll)
      client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx')
      expect((await client.response()).status).to.equal(408)
      expect(refused.map(({ error }) => error.status)).to.deep.equal([408])
    })

    it('are sent for a body for which there is no room', async () => {
      const refused = observer.messages('sluiceway:body:refused')
      const client = await connect(bodyCache({ memory: 10, memoryBudget: 10, diskBudget: 10 }), readAll)
      client.request('POST', '/', {}, 'x'.repeat(100))
      expect((await client.response()).status).to.equal(503)
      expect(refused.map(({ error }) => error.code)).to.deep.equal(['ERR_SLUICEWAY_STORAGE_FULL'])
    })

    it('are not sent for a body within its limit', async () => {
      const refused = observer.messages('sluiceway:body:refused')
      const client = await connect(maxBytes(10), readAll)
      client.request('POST', '/', {}, 'x')
      expect((await client.response()).status).to.equal(200)
      expect(refused).to.deep.equal([])
    })

    it('say that a body is stored, and where', async () => {
      const contexts: unknown[] = []
      observer.on('sluiceway:body:stored', () => contexts.push(numbers.getStore()))
      const stored = observer.messages('sluiceway:body:stored')
      const spilled = observer.messages('sluiceway:body:spilled')
      const client = await connect(inContext, bodyCache({ memory: 10 }), readAll)
      client.request('POST', '/small', { 'X-Number': '1' }, 'x'.repeat(10))
      await client.response()
      expect(spilled).to.deep.equal([])
      client.request('POST', '/large', { 'X-Number': '2' }, ['x'.repeat(10), 'y'.repeat(30)])
      await client.response()
      expect(spilled).to.have.length(1)
      expect(spilled[0]).to.include({ memoryBytes: 10, directory: os.tmpdir() })
      expect(spilled[0]!.req.url).to.equal('/large')
      expect(
        stored.map(({ req, memoryBytes, fileBytes, isWhole }) => [req.url, memoryBytes, fileBytes, isWhole]),
      ).to.deep.equal([
        ['/small', 10, 0, true],
        ['/large', 10, 30, true],
      ])
      expect(contexts).to.deep.equal(['1', '2'])
    })

    it('say how much was stored of a body whose client has left', async () => {
      const stored = observer.messages('sluiceway:body:stored')
      const spilled = observer.messages('sluiceway:body:spilled')
      const client = await connect(bodyCache({ memory: 10 }), (req, res) =>
        req.on('error', () => res.end()).resume(),
      )
      client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n', 'x'.repeat(30))
      await until(() => spilled.length)
      expect(stored).to.deep.equal([])
      client.destroy()
      await until(() => stored.length)
      expect(stored).to.have.length(1)
      const { memoryBytes, fileBytes, isWhole } = stored[0]!
      expect([memoryBytes + fileBytes, isWhole]).to.deep.equal([30, false])
    })
  })
}

describe('messages about bodies, over HTTP/2', () => {
  const observer = observing()
  let session: ClientHttp2Session
  afterEach(async () => {
    session.destroy()
    await closeServers()
  })

  it('have the same messages', async () => {
    const refused = observer.messages('sluiceway:body:refused')
    const stored = observer.messages('sluiceway:body:stored')
    const app = hosts[0]!.mount(maxBytes(20), bodyCache({ memory: 10 }), readAll)
    const { port } = await listen(http2.createServer(app as never) as never)
    session = http2.connect(`http://127.0.0.1:${port}`)
    for (const [length, status] of [
      [15, 200],
      [25, 413],
    ] as const) {
      const stream = session.request({ ':method': 'POST', ':path': `/${length}` })
      stream.on('error', () => {}).end('x'.repeat(length))
      const [headers] = (await once(stream, 'response')) as [Record<string, unknown>]
      stream.resume()
      expect(headers[':status']).to.equal(status)
    }
    expect(refused.map(({ req, error }) => [req.url, error.status])).to.deep.equal([['/25', 413]])
    await until(() => stored.length === 2)
    expect(stored.map(({ req, isWhole }) => [req.url, isWhole])).to.deep.equal([
      ['/15', true],
      ['/25', false],
    ])
  })
})
