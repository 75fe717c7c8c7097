import { AsyncLocalStorage } from 'node:async_hooks'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { expect } from 'chai'
import { attach, passthroughProxy, type Dispatcher, type PassthroughProxyOptions } from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { closeServers, listen, serve } from '../../support/servers/servers.js'
import { until } from '../../support/time/until.js'
import { undiciVersions, type ClosableDispatcher, type Undici } from '../../support/undici/undici-versions.js'

/** The number that a client sends and the middlewares of its request run with. */
const numbers = new AsyncLocalStorage<string>()

function numberOf(req: IncomingMessage): string {
  return String(req.headers['x-number'])
}

/** The callbacks that ran, each with the number of the request and that of the context. */
type Seen = [what: string, own: string, found: string | undefined]

/** Answers by the path: whole, in parts, with an interim head before, late, or not at all. */
const upstreamHandler: RequestListener = (req, res) => {
  const answers: Record<string, () => unknown> = {
    '/cut': () => setImmediate(() => req.socket.destroy()),
    '/part': () => res.write('part', () => setImmediate(() => req.socket.destroy())),
    '/malformed': () => req.socket.end('HTTP/1.1 200 OK\r\n : x\r\n\r\n'),
    '/silent': () => {},
    '/hints': () => res.writeEarlyHints({ link: '</a.css>' }, () => req.pipe(res)),
    '/': () => res.write('a', () => req.pipe(res)),
  }
  answers[req.url ?? '/']?.()
}

const transports: readonly [string, (() => Promise<Undici>) | undefined][] = [
  ["the proxy's own client", undefined],
  ...undiciVersions,
]

for (const [transport, load] of transports) {
  describe(`the contexts of passthroughProxy's requests, over ${transport}`, () => {
    let seen: Seen[]
    let dispatchers: ClosableDispatcher[]
    let clients: RawClient[]

    beforeEach(() => {
      seen = []
      dispatchers = []
      clients = []
    })
    afterEach(async () => {
      for (const client of clients) client.destroy()
      await Promise.all(dispatchers.map((dispatcher) => dispatcher.destroy()))
      await closeServers()
    })

    function saw(what: string, req: IncomingMessage): void {
      seen.push([what, numberOf(req), numbers.getStore()])
    }

    /** One connection for all requests: the context of the first is that in which it was opened. */
    async function oneConnection(
      adapt: (dispatcher: Dispatcher) => Dispatcher = (dispatcher) => dispatcher,
    ): Promise<PassthroughProxyOptions> {
      if (load === undefined) return { maxConnections: 1 }
      const { Agent } = await load()
      const dispatcher = new Agent({ connections: 1 })
      dispatchers.push(dispatcher)
      return { dispatcher: adapt(dispatcher) }
    }

    function watched(req: IncomingMessage, res: ServerResponse, next: () => void): void {
      for (const event of ['finish', 'close']) res.on(event, () => saw(event, req))
      req.on('end', () => saw('end', req))
      numbers.run(numberOf(req), next)
    }

    /** An app that notes everything of its own that the proxy runs. */
    async function start(target: string, options: PassthroughProxyOptions): Promise<number> {
      const app = expressVersions[0].express().set('env', 'test')
      app.use(watched as never)
      app.use(
        passthroughProxy((req) => (saw('target', req), target), {
          path: (req) => (saw('path', req), req.url ?? '/'),
          async onRequest(_outgoing, req) {
            await new Promise((resolve) => setImmediate(resolve))
            saw('onRequest', req)
          },
          onResponse: (_incoming, req) => saw('onResponse', req),
          ...options,
        }),
      )
      app.use((_error: Error, req: IncomingMessage, res: ServerResponse, _next: unknown) => {
        saw('error', req)
        if (!res.headersSent) res.writeHead(502).end()
      })
      const server = createServer(app as RequestListener)
      attach(server, app as RequestListener)
      return (await listen(server)).port
    }

    async function ask(port: number, number: number, path: string, body?: string[]): Promise<void> {
      const client = await RawClient.connect(port)
      clients.push(client)
      client.request(body === undefined ? 'GET' : 'POST', path, { 'X-Number': String(number) }, body)
      if (path === '/hints') await client.untilText('\r\n\r\n')
      // Some are cut.
      await client.response().catch(() => {})
    }

    /** Waits until `count` requests are over, and tells the foreign contexts among what ran. */
    async function foreign(count: number, expected: readonly string[]): Promise<Seen[]> {
      await until(() => seen.filter(([what]) => what === 'close').length >= count)
      expect([...new Set(seen.map(([what]) => what))]).to.include.members(expected)
      // Node 20 ends a request in no context at all.
      return seen.filter(([what, own, found]) => own !== found && (what !== 'end' || found !== undefined))
    }

    const always = ['target', 'path', 'onRequest', 'close']

    for (const [what, path, body, also] of [
      ['a whole answer', '/', undefined, ['onResponse', 'finish']],
      ['an upload', '/', ['a', 'b'.repeat(100_000)], ['onResponse', 'finish', 'end']],
      ['an interim answer', '/hints', undefined, ['onResponse', 'finish']],
      ['a connection that is cut before the answer', '/cut', undefined, ['error', 'finish']],
      ['an answer that is no HTTP', '/malformed', undefined, ['error', 'finish']],
    ] as [string, string, string[] | undefined, string[]][]) {
      it(`are their own with ${what}, one after the other on one connection`, async () => {
        const port = await start((await serve(upstreamHandler)).url, await oneConnection())
        for (let number = 1; number <= 3; number++) await ask(port, number, path, body)
        expect(await foreign(3, [...always, ...also])).to.deep.equal([])
      })

      it(`are their own with ${what}, while they wait for one connection`, async () => {
        const port = await start((await serve(upstreamHandler)).url, await oneConnection())
        await Promise.all([1, 2, 3, 4].map((number) => ask(port, number, path, body)))
        expect(await foreign(4, [...always, ...also])).to.deep.equal([])
      })
    }

    it('are their own when an answer is cut within its body', async () => {
      const port = await start((await serve(upstreamHandler)).url, await oneConnection())
      await ask(port, 1, '/')
      await ask(port, 2, '/part')
      // Its connection is closed by the proxy; the event is Node's, and comes in the context of the socket.
      const foreigners = await foreign(2, [...always, 'error', 'onResponse'])
      expect(foreigners.filter(([what]) => what !== 'close')).to.deep.equal([])
      expect(foreigners.filter(([, , found]) => found !== undefined)).to.deep.equal([])
    })

    it('are their own when the upstream refuses the connection', async () => {
      const { url } = await serve(() => {})
      await closeServers()
      const port = await start(url, await oneConnection())
      await Promise.all([1, 2, 3].map((number) => ask(port, number, '/')))
      expect(await foreign(3, [...always, 'error', 'finish'])).to.deep.equal([])
    })

    it('are their own when the upstream is silent for too long', async () => {
      const port = await start((await serve(upstreamHandler)).url, {
        ...(await oneConnection()),
        headersTimeoutMs: 1000,
      })
      await ask(port, 1, '/')
      await ask(port, 2, '/silent')
      expect(await foreign(2, [...always, 'error', 'finish'])).to.deep.equal([])
    })

    it('are their own when the queue is full', async () => {
      const port = await start((await serve(upstreamHandler)).url, {
        ...(await oneConnection()),
        maxQueue: 1,
      })
      await Promise.all([1, 2, 3, 4].map((number) => ask(port, number, '/')))
      expect(await foreign(4, [...always, 'error', 'finish', 'onResponse'])).to.deep.equal([])
    })

    it('are their own when a client leaves', async () => {
      const port = await start((await serve(upstreamHandler)).url, await oneConnection())
      await ask(port, 1, '/')
      const leaving = await RawClient.connect(port)
      leaving.request('GET', '/silent', { 'X-Number': '2' })
      await until(() => seen.some(([what, own]) => what === 'onRequest' && own === '2'))
      leaving.socket.resetAndDestroy()
      await until(() => seen.some(([what, own]) => what === 'close' && own === '2'))
      await ask(port, 3, '/')
      const foreigners = await foreign(3, always)
      expect(foreigners.filter(([, , found]) => found !== undefined)).to.deep.equal([])
    })

    if (load === undefined) return

    it('are their own with an interceptor that sends later, or throws', async () => {
      let asked = 0
      const careless = (dispatcher: Dispatcher): Dispatcher => ({
        dispatch(options, handler) {
          asked += 1
          if (asked === 2) throw new Error('careless')
          setImmediate(() => dispatcher.dispatch(options, handler))
          return true
        },
      })
      const port = await start((await serve(upstreamHandler)).url, await oneConnection(careless))
      for (let number = 1; number <= 3; number++) await ask(port, number, '/')
      expect(await foreign(3, [...always, 'error', 'finish', 'onResponse'])).to.deep.equal([])
    })
  })
}
