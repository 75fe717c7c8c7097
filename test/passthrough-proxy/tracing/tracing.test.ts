import { AsyncLocalStorage } from 'node:async_hooks'
import { channel } from 'node:diagnostics_channel'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { expect } from 'chai'
import {
  attach,
  bodyCache,
  maxBytes,
  passthroughProxy,
  type PassthroughProxyOptions,
  type ProxiedRequest,
  type SluicewayError,
} from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { Observer } from '../../support/observed.js'
import { answer, scriptedUpstream, type ScriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, listen } from '../../support/servers/servers.js'
import { until } from '../../support/time/until.js'
import { type ClosableDispatcher, undiciVersions, type Undici } from '../../support/undici/undici-versions.js'

const numbers = new AsyncLocalStorage<string>()

const transports: readonly [string, (() => Promise<Undici>) | undefined][] = [
  ["the proxy's own client", undefined],
  ...undiciVersions,
]

/** The order of every proxied request that gets an answer. */
const WHOLE = ['start', 'end', 'asyncStart', 'asyncEnd']
const FAILED = ['start', 'end', 'error', 'asyncStart', 'asyncEnd']

for (const [transport, load] of transports) {
  for (const { name, express } of expressVersions) {
    describe(`messages about a proxied request, over ${transport}, on ${name}`, () => {
      let upstream: ScriptedUpstream
      let observer: Observer
      let told: [string, ProxiedRequest][]
      let dispatchers: ClosableDispatcher[]
      let errors: SluicewayError[]

      beforeEach(async () => {
        upstream = await scriptedUpstream()
        observer = new Observer()
        told = observer.proxied()
        dispatchers = []
        errors = []
      })
      afterEach(async () => {
        observer.end()
        await Promise.all(dispatchers.map((dispatcher) => dispatcher.destroy()))
        await closeServers()
      })

      async function transportOptions(): Promise<PassthroughProxyOptions> {
        if (load === undefined) return {}
        const { Agent } = await load()
        const dispatcher = new Agent()
        dispatchers.push(dispatcher)
        return { dispatcher }
      }

      type Before = (req: IncomingMessage, res: ServerResponse, next: () => void) => void

      async function start(
        options: PassthroughProxyOptions = {},
        { target = upstream.url, before }: { target?: string; before?: Before } = {},
      ): Promise<RawClient> {
        const app = express().set('env', 'test')
        app.use((req, _res, next) => numbers.run(String(req.headers['x-number']), next))
        if (before !== undefined) app.use(before)
        app.use('/api', passthroughProxy(target, { ...(await transportOptions()), ...options }))
        app.use((error: SluicewayError, _req: unknown, res: ServerResponse, _next: unknown) => {
          errors.push(error)
          if (!res.headersSent) res.writeHead(error.status).end()
        })
        const server = createServer(app as RequestListener)
        attach(server, app as RequestListener)
        return RawClient.connect((await listen(server)).port)
      }

      function events(): string[] {
        return told.map(([event]) => event)
      }

      /** Waits for the end, and gives the one message that all events have told with. */
      async function ended(): Promise<ProxiedRequest> {
        await until(() => events().includes('asyncEnd'))
        const messages = new Set(told.map(([, message]) => message))
        expect(messages.size).to.equal(1)
        return told[0]![1]
      }

      it('have the head, the times and the bytes of a whole exchange', async () => {
        const client = await start()
        client.request('POST', '/api/x?y', { 'X-Number': '1' }, ['abc', 'defg'])
        const connection = await upstream.connection()
        await connection.untilText('0\r\n\r\n')
        expect(events()).to.deep.equal(['start', 'end'])
        const [, message] = told[0]!
        const { method, origin, path, headers } = message.outgoing!
        expect({ method, origin, path }).to.deep.equal({ method: 'POST', origin: upstream.url, path: '/x?y' })
        expect(headers.get('X-NUMBER')).to.equal('1')
        expect([message.status, message.headMs, message.totalMs, message.outcome]).to.deep.equal(
          Array(4).fill(undefined),
        )
        connection.write('HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
        await client.untilText('hello')
        expect(events()).to.deep.equal(['start', 'end', 'asyncStart'])
        expect([message.status, message.totalMs, message.outcome]).to.deep.equal([201, undefined, undefined])
        connection.write('6\r\n world\r\n0\r\n\r\n')
        await client.untilText('0\r\n\r\n')
        expect(await ended()).to.include({
          status: 201,
          requestBytes: 7,
          responseBytes: 11,
          isRetried: false,
          outcome: 'answered',
          error: undefined,
        })
        expect(events()).to.deep.equal(WHOLE)
        expect(message.headMs).to.be.above(0)
        expect(message.totalMs).to.be.at.least(message.headMs!)
        expect(message.res.req).to.equal(message.req)
      })

      it('count a small body, and an answer that comes in one piece', async () => {
        const client = await start()
        client.request('POST', '/api/', {}, 'abc')
        const connection = await upstream.connection()
        await connection.untilText('abc')
        connection.write(answer('whole'))
        await client.response()
        expect(await ended()).to.include({ requestBytes: 3, responseBytes: 5, status: 200 })
      })

      it('let a subscriber set a header of the outgoing head, in place of the lines of the client', async () => {
        observer.on('tracing:sluiceway:proxy:start', ({ outgoing }) => {
          outgoing?.headers.set('traceparent', '00-ours')
          outgoing?.headers.delete('X-Secret')
        })
        const client = await start()
        client.write(
          'GET /api/ HTTP/1.1\r\nHost: a\r\nTraceparent: 00-one\r\nX-Secret: 1\r\ntraceparent: 00-two\r\nA: b\r\n\r\n',
        )
        const connection = await upstream.connection()
        const head = await connection.untilText('\r\n\r\n')
        expect(head.match(/^traceparent:.*$/gim)).to.deep.equal(['traceparent: 00-ours'])
        expect(head).to.not.match(/x-secret/i)
        expect(head).to.contain('A: b\r\n')
        connection.write(answer())
        await client.response()
        expect(await ended()).to.include({ outcome: 'answered' })
      })

      it('ignore a change of the head after the start', async () => {
        observer.on('tracing:sluiceway:proxy:end', ({ outgoing }) => outgoing?.headers.set('late', '1'))
        const client = await start()
        client.request('GET', '/api/')
        const connection = await upstream.connection()
        expect(await connection.untilText('\r\n\r\n')).to.not.contain('late')
        connection.write(answer())
        await client.response()
      })

      it('report a head that cannot be sent as an error of this side, and not of the client', async () => {
        observer.on('tracing:sluiceway:proxy:start', ({ outgoing }) =>
          outgoing?.headers.set('a', 'b\r\nc: d'),
        )
        const client = await start()
        client.request('GET', '/api/')
        expect((await client.response()).status).to.equal(500)
        expect(errors.map(({ code }) => code)).to.deep.equal(['ERR_SLUICEWAY_PROXY_HOOK'])
        const { outcome, error } = await ended()
        expect({ outcome, error }).to.deep.equal({ outcome: 'failed', error: errors[0] })
        expect(events()).to.deep.equal(FAILED)
      })

      it('are published in the context of the request, with the stores that are bound to its start', async () => {
        const bound = new AsyncLocalStorage<string>()
        const starting = channel('tracing:sluiceway:proxy:start')
        starting.bindStore(bound, (message) => `span ${numberOf((message as ProxiedRequest).req)}`)
        const found: (string | undefined)[][] = []
        const note = (event: string, { req }: { req: IncomingMessage }): void => {
          found.push([event, numberOf(req), numbers.getStore(), bound.getStore()])
        }
        for (const event of ['start', 'end', 'asyncStart', 'asyncEnd'] as const) {
          observer.on(`tracing:sluiceway:proxy:${event}`, (message) => note(event, message))
        }
        const client = await start({ onResponse: (_incoming, req) => note('onResponse', { req }) })
        let connection: RawClient | undefined
        for (const number of ['1', '2']) {
          client.request('GET', '/api/', { 'X-Number': number })
          connection ??= await upstream.connection()
          await connection.untilText('\r\n\r\n')
          connection.write(answer())
          await client.response()
        }
        starting.unbindStore(bound)
        for (const number of ['1', '2']) {
          const own = found.filter(([, of]) => of === number)
          expect(own.map(([event]) => event)).to.have.members([...WHOLE, 'onResponse'])
          for (const [event, , context, span] of own) {
            expect([event, context, span]).to.deep.equal([event, number, `span ${number}`])
          }
        }
      })

      it('report a client that leaves before the answer, in its context', async () => {
        const contexts: (string | undefined)[] = []
        observer.on('tracing:sluiceway:proxy:asyncEnd', () => contexts.push(numbers.getStore()))
        const client = await start()
        client.request('GET', '/api/', { 'X-Number': '7' })
        await (await upstream.connection()).untilText('\r\n\r\n')
        client.destroy()
        expect(await ended()).to.include({ outcome: 'client-left', status: undefined, headMs: undefined })
        expect(told[0]![1].error).to.equal(undefined)
        expect(events()).to.deep.equal(WHOLE)
        expect(contexts).to.deep.equal(['7'])
      })

      it('report a client that leaves within the answer', async () => {
        const client = await start()
        client.request('GET', '/api/')
        const connection = await upstream.connection()
        await connection.untilText('\r\n\r\n')
        connection.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfour')
        await client.untilText('four')
        client.destroy()
        expect(await ended()).to.include({ outcome: 'client-left', status: 200, responseBytes: 4 })
        expect(events()).to.deep.equal(WHOLE)
      })

      it('report a client that leaves within a body whose answer waits behind another', async () => {
        const client = await start()
        client.request('GET', '/api/first')
        const first = await upstream.connection()
        await first.untilText('\r\n\r\n')
        client.write('POST /api/ HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nfour')
        await (await upstream.connection()).untilText('four')
        client.destroy()
        await until(() => events().filter((event) => event === 'asyncEnd').length === 2)
        for (const [, { outcome, error }] of told)
          expect([outcome, error]).to.deep.equal(['client-left', undefined])
      })

      it('report a client that leaves within its body, behind bodyCache', async () => {
        const client = await start({}, { before: bodyCache() })
        client.write('POST /api/ HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nfour')
        await (await upstream.connection()).untilText('four')
        client.destroy()
        expect(await ended()).to.include({ outcome: 'client-left', requestBytes: 4, error: undefined })
      })

      it('report a body that is refused on its way as an error, and not as a client that left', async () => {
        const client = await start({}, { before: maxBytes(9) })
        client.write('POST /api/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n')
        await (await upstream.connection()).untilText('four')
        client.write('6\r\n and 6\r\n')
        expect((await client.response()).status).to.equal(413)
        const { outcome, error } = await ended()
        expect(outcome).to.equal('failed')
        expect(error).to.have.property('code', 'ERR_SLUICEWAY_BODY_TOO_LARGE')
      })

      it('report a client that leaves within its body', async () => {
        const client = await start()
        client.write('POST /api/ HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nfour')
        await (await upstream.connection()).untilText('four')
        client.destroy()
        expect(await ended()).to.include({ outcome: 'client-left', requestBytes: 4, error: undefined })
        expect(events()).to.deep.equal(WHOLE)
      })

      it('report a client that leaves while a hook is at work', async () => {
        let go: () => void = () => {}
        const client = await start({ onRequest: () => new Promise<void>((resolve) => (go = resolve)) })
        client.request('GET', '/api/', { 'X-Number': '3' })
        await until(() => go.name === '')
        client.destroy()
        expect(await ended()).to.include({ outcome: 'client-left', outgoing: undefined })
        expect(events()).to.deep.equal(WHOLE)
        go()
        await new Promise(setImmediate)
        expect(events()).to.deep.equal(WHOLE)
      })

      it('report an upstream that cannot be reached', async () => {
        const client = await start({}, { target: 'http://127.0.0.1:9' })
        client.request('GET', '/api/')
        expect((await client.response()).status).to.equal(502)
        const { outcome, error, status } = await ended()
        expect({ outcome, error, status }).to.deep.equal({
          outcome: 'failed',
          error: errors[0],
          status: undefined,
        })
        expect(errors[0]?.code).to.equal('ERR_SLUICEWAY_UPSTREAM_UNREACHABLE')
        expect(events()).to.deep.equal(FAILED)
      })

      it('report an answer that is cut', async () => {
        const client = await start()
        client.request('GET', '/api/')
        const connection = await upstream.connection()
        await connection.untilText('\r\n\r\n')
        connection.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfour')
        await client.untilText('four')
        connection.destroy()
        const { outcome, status, error } = await ended()
        expect({ outcome, status }).to.deep.equal({ outcome: 'failed', status: 200 })
        expect(error).to.have.property('code', 'ERR_SLUICEWAY_UPSTREAM_RESET')
        expect(events()).to.deep.equal(['start', 'end', 'asyncStart', 'error', 'asyncEnd'])
      })

      it('report a request that is refused before it is sent', async () => {
        const client = await start({
          onRequest() {
            throw new Error('no')
          },
        })
        client.request('GET', '/api/')
        expect((await client.response()).status).to.equal(500)
        const { outgoing, outcome, error } = await ended()
        expect({ outgoing, outcome }).to.deep.equal({ outgoing: undefined, outcome: 'failed' })
        expect(error).to.have.property('code', 'ERR_SLUICEWAY_PROXY_HOOK')
        expect(events()).to.deep.equal(FAILED)
      })

      it('report an application that answers itself', async () => {
        const client = await start(
          {},
          {
            before(_req, res, next) {
              next()
              setTimeout(() => res.writeHead(503).end('late'), 20)
            },
          },
        )
        client.request('GET', '/api/')
        await (await upstream.connection()).untilText('\r\n\r\n')
        expect((await client.response()).status).to.equal(503)
        expect(await ended()).to.include({ outcome: 'answered-here', status: undefined })
      })

      it('report a tunnel from its 101 to its end, with the bytes of both directions', async () => {
        const client = await start()
        client.write(
          'GET /api/chat HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nearly',
        )
        const connection = await upstream.connection()
        await connection.untilText('\r\n\r\n')
        connection.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhi',
        )
        await client.untilText('\r\n\r\nhi')
        await connection.untilText('early')
        expect(events()).to.deep.equal(['start', 'end', 'asyncStart'])
        client.write('ping')
        await connection.untilText('ping')
        connection.write('pong!')
        await client.untilText('pong!')
        expect(events()).to.deep.equal(['start', 'end', 'asyncStart'])
        client.socket.end()
        connection.socket.end()
        expect(await ended()).to.include({
          status: 101,
          outcome: 'upgraded',
          requestBytes: 9,
          responseBytes: 7,
        })
        expect(events()).to.deep.equal(WHOLE)
      })

      it('report the end of a tunnel whose client breaks off', async () => {
        const client = await start()
        client.write('GET /api/ HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n')
        const connection = await upstream.connection()
        await connection.untilText('\r\n\r\n')
        connection.write('HTTP/1.1 101 OK\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n')
        await client.untilText('\r\n\r\n')
        client.socket.resetAndDestroy()
        expect(await ended()).to.include({ status: 101, outcome: 'upgraded' })
      })

      it('report a client once that leaves while a middleware holds the 101 back', async () => {
        let held = (): void => {}
        const before: Before = (_req, res, next) => {
          const end = res.end.bind(res)
          res.end = () => {
            held = () => void end()
            return res
          }
          next()
        }
        const client = await start({}, { before })
        client.write('GET /api/ HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n')
        const connection = await upstream.connection()
        await connection.untilText('\r\n\r\n')
        connection.write('HTTP/1.1 101 OK\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n')
        await until(() => events().length === 3)
        client.socket.resetAndDestroy()
        expect(await ended()).to.include({ outcome: 'client-left' })
        held()
        await connection.closed()
        expect(events()).to.deep.equal(WHOLE)
      })

      it('report an upgrade that the upstream does not accept', async () => {
        const client = await start()
        client.write('GET /api/ HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n')
        const connection = await upstream.connection()
        await connection.untilText('\r\n\r\n')
        connection.write(answer('no'))
        await client.response()
        expect(await ended()).to.include({ status: 200, outcome: 'answered', responseBytes: 2 })
      })
    })
  }
}

function numberOf(req: IncomingMessage): string {
  return String(req.headers['x-number'])
}
