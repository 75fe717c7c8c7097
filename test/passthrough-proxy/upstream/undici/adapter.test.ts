import type { EventEmitter } from 'node:events'
import { expect } from 'chai'
import { passthroughProxy, type TargetFunction } from 'sluiceway'
import type * as LinesModule from '../../../../dist/esm/passthrough-proxy/upstream/undici/lines.js'
import type * as QueuesModule from '../../../../dist/esm/passthrough-proxy/upstream/undici/queues.js'
import { RawClient } from '../../../support/clients/raw-client.js'
import { countedList } from '../../../support/counted-list.js'
import { expressVersions } from '../../../support/express/express-versions.js'
import { root } from '../../../support/repository/repository.js'
import { closeServers, serve } from '../../../support/servers/servers.js'
import { deferred } from '../../../support/time/deferred.js'
import { until } from '../../../support/time/until.js'
import { undiciVersions } from '../../../support/undici/undici-versions.js'

const { Queues } = (await import(
  `${root}/dist/esm/passthrough-proxy/upstream/undici/queues.js`
)) as typeof QueuesModule

const { headLines } = (await import(
  `${root}/dist/esm/passthrough-proxy/upstream/undici/lines.js`
)) as typeof LinesModule

const BUSY = 'http://busy'

describe('the adapter of undici', () => {
  afterEach(closeServers)

  it('refuses requests after the proxy was closed, even twice', async () => {
    let asked = 0
    const proxy = passthroughProxy('http://127.0.0.1:1', { dispatcher: { dispatch: () => (asked += 1) > 0 } })
    void proxy.close()
    await proxy.close()
    const { port } = await serve((req, res) => proxy(req, res))
    const client = await RawClient.connect(port)
    client.request('GET', '/')
    expect((await client.response()).status).to.equal(502)
    expect(asked).to.equal(0)
    client.destroy()
  })

  it('counts those that wait for an origin, however many other origins a target function invents', async () => {
    const asked: string[] = []
    const dispatcher = {
      dispatch({ origin }: { origin: string }): boolean {
        asked.push(origin)
        if (origin !== BUSY) throw new Error('no such origin')
        return true
      },
    }
    const proxy = passthroughProxy((req) => (req.url === '/busy' ? BUSY : `http://origin${asked.length}`), {
      dispatcher,
      maxQueue: 1,
    })
    const { port } = await serve((req, res) => proxy(req, res))
    const waiting = await RawClient.connect(port)
    waiting.request('GET', '/busy')
    await until(() => asked.length > 0)
    const client = await RawClient.connect(port)
    for (let request = 0; request < 300; request++) {
      client.request('GET', '/')
      expect((await client.response()).status).to.equal(500)
    }
    client.request('GET', '/busy')
    expect((await client.response()).status).to.equal(503)
    expect(new Set(asked).size).to.equal(301)
    for (const one of [waiting, client]) one.destroy()
  })

  it('forgets the queues of origins without a waiting request', () => {
    const queues = new Queues()
    const [empty, busy] = [queues.of('http://empty'), queues.of('http://busy')]
    busy.waiting = 1
    for (let origin = 0; origin < 300; origin++) queues.of(`http://origin${origin}`)
    expect(queues.of('http://empty')).to.not.equal(empty)
    expect(queues.of('http://busy')).to.equal(busy)
  })

  it('compares each of a thousand cookies once, not each line with each value', () => {
    const cookies = Array.from({ length: 1000 }, (_, at) => `a=${at}`)
    const raw = cookies.flatMap((cookie) => [Buffer.from('Set-Cookie'), Buffer.from(cookie)])
    const { list, reads } = countedList(cookies)
    expect(headLines(raw, { 'set-cookie': list })).to.deep.equal(raw.map(String))
    expect(reads()).to.be.below(5000)
    // As an interceptor may have changed them.
    expect(headLines(raw, { 'set-cookie': cookies.with(7, 'b=1') })).to.include('b=1')
  })

  it('holds a body back only once if a queue is full at once, and another target takes the request', async () => {
    const upstream = await serve((req, res) => void req.pipe(res))
    const { hostname, port } = new URL(upstream.url)
    const silent = { dispatch: () => true }
    const { Agent } = await undiciVersions[0]![1]()
    const agent = new Agent()
    const dispatcher = {
      dispatch: (options: { origin: string }, handler: never) =>
        (options.origin.includes(hostname) ? agent : silent).dispatch(options as never, handler),
    }
    const target: TargetFunction = (_req, failed) =>
      failed === undefined ? 'http://full.example' : `http://${hostname}:${port}`
    const proxy = passthroughProxy(target, { dispatcher, maxQueue: 1 })
    const left = deferred<number>()
    const front = await serve((req, res) => {
      proxy(req, res)
      res.on('finish', () => left.resolve(req.listenerCount('data')))
    })
    const waiting = await RawClient.connect(front.port)
    waiting.request('GET', '/')
    const client = await RawClient.connect(front.port)
    client.request('POST', '/', {}, ['a ', 'body'])
    expect((await client.response()).body.toString()).to.equal('a body')
    expect(await left.promise).to.equal(0)
    waiting.destroy()
    await agent.destroy()
  })

  it('fails the body of a request whose dispatcher throws on a chunk', async () => {
    const told = deferred<Error>()
    const dispatcher = {
      dispatch: ({ body }: { body: EventEmitter }): boolean => {
        body.on('error', told.resolve).on('data', () => {
          throw new Error('careless')
        })
        return true
      },
    }
    const proxy = passthroughProxy('http://127.0.0.1:1', { dispatcher })
    const { port } = await serve(expressVersions[0].express().set('env', 'test').use(proxy))
    const client = await RawClient.connect(port)
    client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n')
    expect((await told.promise).message).to.equal('careless')
    client.destroy()
  })
})
