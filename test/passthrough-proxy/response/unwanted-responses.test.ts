import { PassThrough } from 'node:stream'
import { expect } from 'chai'
import express, { type NextFunction, type Request, type Response } from 'express'
import { passthroughProxy, type PassthroughProxyOptions, type ResponseHook } from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { scriptedUpstream, type ScriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { MockedClock } from '../../support/time/mocked-clock.js'
import { turns } from '../../support/time/turns.js'
import { transport } from '../../support/undici/transports.js'

const head = (length: number, status = '404 Not Found'): string =>
  `HTTP/1.1 ${status}\r\nContent-Length: ${length}\r\n\r\n`

const refused = new Error('refused')

/** Every way in which a hook does without the response of the upstream, and the status that the client gets. */
const ways: readonly (readonly [what: string, hook: ResponseHook, status: number])[] = [
  [
    'throws',
    () => {
      throw refused
    },
    200,
  ],
  ['rejects', () => Promise.reject(refused), 200],
  ['answers by itself', (_incoming, _req, res) => void res.writeHead(203).end('own'), 203],
  [
    'answers by itself, later',
    async (_incoming, _req, res) => {
      await new Promise(setImmediate)
      res.writeHead(203).end('own')
    },
    203,
  ],
  ['replaces the body', (incoming) => void incoming.replace('own'), 404],
  ['makes a 304 of it', (incoming) => void (incoming.statusCode = 304), 304],
  [
    'makes a 204 of it, later',
    async (incoming) => {
      await new Promise(setImmediate)
      incoming.pipeThrough(new PassThrough()).statusCode = 204
    },
    204,
  ],
]

describe('a response that is not wanted', () => {
  let upstream: ScriptedUpstream
  let client: RawClient
  beforeEach(async () => void (upstream = await scriptedUpstream()))
  afterEach(closeServers)
  /** By itself, the connection would be closed half a second after the answer: with this clock, never. */
  const clock = new MockedClock()
  afterEach(() => clock.restore())

  async function start(options: PassthroughProxyOptions): Promise<ReturnType<typeof passthroughProxy>> {
    const proxy = passthroughProxy(upstream.url, { ...options, maxConnections: 1 })
    const app = express().use(proxy)
    // oxlint-disable-next-line max-params
    app.use((error: Error, _req: Request, _res: Response, next: NextFunction) =>
      next(error.cause === refused ? undefined : error),
    )
    app.use((_req: Request, res: Response) => res.send('the next handler'))
    client = await RawClient.connect((await serve(app)).port)
    return proxy
  }

  /** Asks once more, on the one connection that there may be, and returns how many the upstream has seen then. */
  async function acceptedAfterNext(): Promise<number> {
    client.request('GET', '/second')
    const second = await Promise.race([
      upstream.connectionWith('GET /second'),
      connection.untilText('GET /second').then(() => connection),
    ])
    second.write(head(0, '200 OK'))
    await client.response()
    return upstream.accepted
  }

  let connection: RawClient
  async function askFor(path: string, method = 'GET'): Promise<void> {
    client.request(method, path)
    connection = await upstream.connection()
    await connection.untilText('\r\n\r\n')
  }

  for (const [what, onResponse, status] of ways) {
    it(`costs no connection if the hook ${what}, though its body comes later`, async () => {
      await start({ onResponse })
      await askFor('/first')
      connection.write(head(30_000))
      expect((await client.response()).status).to.equal(status)
      connection.write(Buffer.alloc(30_000))
      expect(await acceptedAfterNext()).to.equal(1)
    })

    it(`costs no connection if the hook ${what}, and its body comes with its head`, async () => {
      await start({ onResponse })
      await askFor('/first')
      connection.write(head(5) + 'hello')
      expect((await client.response()).status).to.equal(status)
      expect(await acceptedAfterNext()).to.equal(1)
    })
  }

  it('costs no connection if the hook rejects while the upstream is held back', async () => {
    let reject!: (error: Error) => void
    const waiting = new Promise<void>((_resolve, fail) => (reject = fail))
    await start({ onResponse: (incoming) => (incoming.statusCode === 404 ? waiting : undefined) })
    await askFor('/first')
    connection.write(head(200_000))
    connection.write(Buffer.alloc(200_000))
    // By then the upstream is held back, or will be.
    for (let n = 0; n < 200; n++) await new Promise(setImmediate)
    reject(refused)
    expect((await client.response()).status).to.equal(200)
    expect(await acceptedAfterNext()).to.equal(1)
  })

  it('costs its connection if it is longer than 256 KB', async () => {
    await start({ onResponse: ways[0]![1] })
    await askFor('/first')
    connection.write(head(10_000_000))
    expect((await client.response()).status).to.equal(200)
    connection.write(Buffer.alloc(300_000))
    await connection.closed()
  })

  it('costs its connection if its end does not come', async () => {
    await start({ onResponse: ways[0]![1] })
    await askFor('/first')
    connection.write(head(10))
    expect((await client.response()).status).to.equal(200)
    await connection.closed()
  })

  it('keeps no client waiting for its end if the hook has made a 304 of it', async () => {
    await start({ onResponse: (incoming) => void (incoming.statusCode = 304) })
    await askFor('/first')
    connection.write(head(10))
    expect((await client.response()).status).to.equal(304)
    await connection.closed()
    client.request('GET', '/second')
    const second = await upstream.connectionWith('GET /second')
    second.write(head(0, '304 Not Modified'))
    expect((await client.response()).status).to.equal(304)
  })

  it('costs its connection if its end does not come while another body is sent', async () => {
    const body = new PassThrough()
    await start({ onResponse: (incoming) => incoming.replace(body) })
    await askFor('/first')
    connection.write(head(10))
    await connection.closed()
    body.end('new')
    expect((await client.response()).body.toString()).to.equal('new')
  })

  for (const method of ['destroy', 'resetAndDestroy'] as const) {
    it(`fails by ${method}(), of which the client of another body hears nothing`, async () => {
      const body = new PassThrough()
      await start({ onResponse: (incoming) => incoming.replace(body) })
      await askFor('/first')
      connection.write(head(10))
      body.write('first')
      await client.untilText('first')
      connection.socket[method]()
      await connection.closed()
      // By then the proxy has heard of it.
      await turns()
      body.end('last')
      await client.untilText('last\r\n0\r\n\r\n')
    })
  }

  for (const method of ['close', 'destroy'] as const) {
    it(`is not waited for by ${method}(), which ends its connection`, async () => {
      clock.stop()
      const proxy = await start({ onResponse: ways[0]![1] })
      await askFor('/first')
      connection.write(head(10))
      expect((await client.response()).status).to.equal(200)
      await proxy[method]()
      await connection.closed()
    })
  }

  it('is left at once if the proxy was closed before', async () => {
    clock.stop()
    let fail!: () => void
    const failing = new Promise<never>((_resolve, reject) => (fail = () => reject(refused)))
    let begun!: () => void
    const hasBegun = new Promise<void>((resolve) => (begun = resolve))
    const proxy = await start({
      onResponse() {
        begun()
        return failing
      },
    })
    await askFor('/first')
    connection.write(head(10))
    await hasBegun
    const isClosed = proxy.close()
    fail()
    await isClosed
    await client.response()
    await connection.closed()
  })

  it('costs its connection if a part of the request is still to come', async () => {
    await start({ onResponse: ways[0]![1] })
    client.write('POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf')
    connection = await upstream.connection()
    await connection.untilText('half')
    connection.write(head(10, '200 OK'))
    expect((await client.response()).status).to.equal(200)
    client.write('rest!')
    await connection.closed()
    expect(connection.pending.toString()).not.to.include('rest!')
  })

  it('costs no connection if it answers HEAD', async () => {
    await start({ onResponse: ways[0]![1] })
    client.request('HEAD', '/first')
    connection = await upstream.connection()
    await connection.untilText('\r\n\r\n')
    connection.write(head(10))
    expect((await client.response({ head: true })).status).to.equal(200)
    expect(await acceptedAfterNext()).to.equal(1)
  })

  it('does not count as a request in progress, and its failure is not reported', async () => {
    const proxy = await start({ onResponse: ways[0]![1] })
    await askFor('/first')
    connection.write(head(10))
    await client.response()
    expect(proxy.stats.requests).to.equal(0)
    await proxy.close()
    connection.destroy()
    if (transport === 'built-in') expect(upstream.accepted).to.equal(1)
  })
})
