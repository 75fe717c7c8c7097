import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import { expect } from 'chai'
import express from 'express'
import { autoFlush, passthroughProxy } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { StreamingClient } from '../support/clients/streaming-client.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { MockedClock } from '../support/time/mocked-clock.js'
import { open, severalBeats } from './event-streams.js'

describe('autoFlush with heartbeatMs', () => {
  const clock = new MockedClock()
  afterEach(() => clock.restore())
  afterEach(closeServers)

  for (const coding of ['identity', 'gzip'] as const) {
    it(`writes comments into a silent event stream: ${coding}`, async () => {
      const { res, client } = await open({ heartbeatMs: 20 }, coding)
      res.write('data: event\n\n')
      await client.received('data: event\n\n:\n\n:\n\n')
      client.leave()
    })
  }

  it('writes comments before the first event too', async () => {
    const app = express().use(autoFlush({ heartbeatMs: 20 }))
    app.get('/', (_req, res) => void res.writeHead(200, { 'Content-Type': 'text/event-stream' }))
    const client = await StreamingClient.get((await serve(app)).url)
    await client.received(':\n\n:\n\n')
    client.leave()
  })

  for (const end of ['\n\n', '\n\r\n', '\r\r', '\r\n\r\n']) {
    it(`recognises ${JSON.stringify(end)} as the end of an event, however it is split into writes`, async () => {
      const { res, client } = await open({ heartbeatMs: 20 })
      for (const write of [
        () => res.write(`data: text${end}`),
        () => res.write(Buffer.from(`data: bytes${end}`)),
        () => res.write(Buffer.from(`data: coded${end}`).toString('base64'), 'base64'),
        () => `data: pieces${end}`.split('').map((character) => res.write(character)),
        () => res.write(`data: called${end}`, () => {}),
      ]) {
        client.text = ''
        write()
        await client.received(`${end}:\n\n`)
      }
      client.leave()
    })
  }

  for (const half of ['data: half', 'data: half\n', 'data: half\r\n', '\n\ndata']) {
    it(`waits until an event is whole, after ${JSON.stringify(half)}`, async () => {
      const { res, client } = await open({ heartbeatMs: 20 })
      res.write(half)
      await severalBeats()
      res.write(Buffer.from('\n\n'))
      await client.received(`${half}\n\n:\n\n`)
      client.leave()
    })
  }

  for (const type of ['text/plain', 'x-text/event-stream', 'text/event-streams']) {
    it(`writes nothing into ${type}, and stops when the response is over`, async () => {
      const { res, client } = await open({ heartbeatMs: 20 }, 'identity', (response) => response.type(type))
      await severalBeats()
      res.end('end')
      await severalBeats()
      expect(await client.ended()).to.equal(':\n\nend')
    })
  }

  it('writes nothing into an event stream of a known length', async () => {
    const { res, client } = await open({ heartbeatMs: 20, filter: () => true }, 'identity', (response) =>
      response.set('Content-Length', '6'),
    )
    await severalBeats()
    res.end('end')
    expect(await client.ended()).to.equal(':\n\nend')
  })

  it('leaves an event stream alone that an upstream has compressed, also before its first event', async () => {
    const upstreamResponse = deferred<ServerResponse>()
    const upstream = await serve((_req, res) => {
      res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Content-Encoding': 'gzip' }).flushHeaders()
      upstreamResponse.resolve(res)
    })
    const app = express().use(autoFlush({ heartbeatMs: 20 }), passthroughProxy(upstream.url))
    const client = await StreamingClient.get((await serve(app)).url, 'gzip')
    await severalBeats()
    const res = await upstreamResponse.promise
    res.end(gzipSync('data: event\n\n'))
    expect(await client.ended()).to.equal('data: event\n\n')
  })

  for (const coding of ['identity', 'none']) {
    it(`writes comments into a stream whose Content-Encoding is ${coding}`, async () => {
      const app = express().use(autoFlush({ heartbeatMs: 20 }))
      const headers = { 'Content-Type': 'text/event-stream', 'Content-Encoding': coding }
      app.get('/', (_req, res) => void res.writeHead(200, headers))
      const client = await RawClient.connect((await serve(app)).port)
      client.request('GET', '/')
      await client.untilText('\r\n:\n\n')
      client.destroy()
    })
  }

  it('writes no comment until a whole silence has passed since the last write', async () => {
    clock.stop()
    const { res, client } = await open({ heartbeatMs: 100 })
    for (const event of ['one', 'two']) {
      await clock.pass(60)
      res.write(`data: ${event}\n\n`)
    }
    await clock.pass(100)
    await client.received(':\n\ndata: one\n\ndata: two\n\n:\n\n')
    client.leave()
  })

  it('leaves no timer behind when the client leaves', async () => {
    clock.stop()
    const { res, client } = await open({ heartbeatMs: 100 })
    expect(clock.pending).to.equal(1)
    client.leave()
    await once(res, 'close')
    expect(clock.pending).to.equal(0)
  })

  it('leaves values alone that a layer around write turns into bytes, and what it passes on counts', async () => {
    const { res, client } = await open({ heartbeatMs: 20 })
    const write = res.write.bind(res) as (...args: unknown[]) => boolean
    const layered = (value: unknown, form: unknown): boolean =>
      typeof value === 'string' ? write(value) : write(`data: ${JSON.stringify(value)}${String(form)}`)
    res.write = layered as never
    layered.call(res, { a: 1 }, '\n')
    ;(res.write as typeof layered)({ b: 2 }, '\n')
    ;(res.write as typeof layered)(null, '\n')
    await severalBeats()
    ;(res.write as typeof layered)('\n\n', 'json')
    await client.received(':\n\ndata: {"a":1}\ndata: {"b":2}\ndata: null\n\n\n:\n\n')
    client.leave()
  })

  it('is off by default', async () => {
    const { res, client } = await open({})
    await severalBeats()
    res.end()
    expect(await client.ended()).to.equal(':\n\n')
  })

  it('writes nothing once the client has left, even if the handler still writes', async () => {
    const { res, client } = await open({ heartbeatMs: 20 })
    const gone = once(res, 'close')
    client.leave()
    await gone
    res.write('data: late\n\n')
    let written = 0
    res.write = () => {
      written++
      return true
    }
    await severalBeats()
    expect(written).to.equal(0)
  })
})
