import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { expect } from 'chai'
import compression from 'compression'
import express, { type Response } from 'express'
import { autoFlush, type AutoFlushOptions } from 'sluiceway'
import { RawClient } from '../support/raw-client.js'
import { closeServers, serve } from '../support/servers.js'
import { type Coding, StreamingClient } from './streaming-client.js'

describe('autoFlush', () => {
  afterEach(closeServers)

  describe('with coalesce', () => {
    for (const coalesce of ['immediate', 'tick', 5] as const) {
      it(`${coalesce} delivers each chunk before the next is sent`, async () => {
        const { res, client } = await open({ coalesce }, 'gzip')
        for (const n of [1, 2, 3]) {
          res.write(`data: ${n}\n\n`)
          await client.received(`data: ${n}\n\n`)
        }
        client.leave()
      })
    }

    it('of milliseconds waits for them', async () => {
      const { res, client } = await open({ coalesce: 100 }, 'gzip')
      const written = performance.now()
      res.write('data: late\n\n')
      await client.received('late')
      expect(performance.now() - written).to.be.at.least(99)
      client.leave()
    })
  })

  describe('with filter', () => {
    it('leaves alone what the filter refuses', async () => {
      const app = express()
      app.use(autoFlush({ filter: (req) => req.url !== '/refused' }))
      app.get('/{*path}', (_req, res) => {
        res.write('streamed')
        res.end()
      })
      const { url } = await serve(app)
      const refused = await StreamingClient.get(`${url}/refused`)
      expect(refused.response.headers).not.to.have.property('x-accel-buffering')
      const taken = await StreamingClient.get(`${url}/taken`)
      expect(taken.response.headers).to.have.property('x-accel-buffering', 'no')
      await Promise.all([refused.ended(), taken.ended()])
    })

    it('may also take responses with Content-Length', async () => {
      const { res, client } = await open({ filter: () => true }, 'gzip', (response) =>
        response.set('Content-Length', '100000'),
      )
      res.write('data: counted\n\n')
      await client.received('counted')
      client.leave()
    })

    it('is replaced by a later mount, closer to the route', async () => {
      const app = express()
      app.use(autoFlush(), compression())
      app.get('/', autoFlush({ filter: () => false }), (_req, res) => {
        res.write('streamed')
        res.end()
      })
      const { url } = await serve(app)
      const client = await StreamingClient.get(url)
      expect(client.response.headers).not.to.have.property('x-accel-buffering')
      await client.ended()
    })
  })

  describe('with proxyBuffering', () => {
    it('true sets no header', async () => {
      const { client } = await open({ proxyBuffering: true })
      expect(client.response.headers).not.to.have.property('x-accel-buffering')
      client.leave()
    })

    it('false leaves a header of the handler alone', async () => {
      const { client } = await open({}, 'identity', (res) => res.set('X-Accel-Buffering', 'yes'))
      expect(client.response.headers).to.have.property('x-accel-buffering', 'yes')
      client.leave()
    })
  })

  describe('with sync', () => {
    it('has handed each write to the socket when write returns', async () => {
      const { res, client } = await open({ sync: true })
      await client.received(':')
      for (const n of [1, 2, 3]) {
        const before = res.socket?.bytesWritten ?? 0
        res.write(`data: ${n}\n\n`)
        expect(res.socket?.writableLength).to.equal(0)
        expect(res.socket?.bytesWritten).to.be.above(before)
      }
      client.leave()
    })

    it('also the first one, with the head', async () => {
      const app = express()
      app.use(autoFlush({ sync: true }))
      app.get('/', (_req, res) => {
        res.write('first')
        res.end(`, ${res.socket?.writableLength} waiting`)
      })
      const { url } = await serve(app)
      expect(await (await StreamingClient.get(url)).ended()).to.equal('first, 0 waiting')
    })

    it('keeps what the handler has corked', async () => {
      const { res, client } = await open({ sync: true })
      await client.received(':')
      res.cork()
      res.write('data: corked\n\n')
      expect(res.writableLength).to.be.above(0)
      res.uncork()
      await client.received('corked')
      client.leave()
    })
  })

  describe('with heartbeatMs', () => {
    for (const coding of ['identity', 'gzip'] as const) {
      it(`writes comments into a silent event stream: ${coding}`, async () => {
        const { res, client } = await open({ heartbeatMs: 20 }, coding)
        res.write('data: event\n\n')
        await client.received('data: event\n\n:\n\n:\n\n')
        client.leave()
      })
    }

    it('waits until an event is whole', async () => {
      const { res, client } = await open({ heartbeatMs: 20 })
      res.write('data: half')
      await severalBeats()
      res.write(Buffer.from('\n\n'))
      await client.received('data: half\n\n:\n\n')
      client.leave()
    })

    it('reads the end of an event in any encoding', async () => {
      const { res, client } = await open({ heartbeatMs: 20 })
      res.write(Buffer.from('data: half').toString('base64'), 'base64')
      res.write(Buffer.from('\n\n').toString('base64'), 'base64')
      await client.received('data: half\n\n:\n\n')
      client.leave()
    })

    it('leaves other types alone, and stops when the response is over', async () => {
      const { res, client } = await open({ heartbeatMs: 20 }, 'identity', (response) => response.type('txt'))
      await severalBeats()
      res.end('end')
      await severalBeats()
      expect(await client.ended()).to.equal(':\n\nend')
    })
  })

  it('refuses wrong options', () => {
    const wrong: [unknown, string, string][] = [
      [{ coalesce: 'soon' }, 'TypeError', 'option "coalesce" must be'],
      [{ coalesce: null }, 'TypeError', 'option "coalesce" must be'],
      [{ coalesce: 0 }, 'RangeError', 'option "coalesce" must be'],
      [{ coalesce: 1.5 }, 'RangeError', 'option "coalesce" must be'],
      [{ coalesce: NaN }, 'RangeError', 'option "coalesce" must be'],
      [{ filter: true }, 'TypeError', 'option "filter" must be a function, got true'],
      [{ proxyBuffering: 'no' }, 'TypeError', 'option "proxyBuffering" must be true or false'],
      [{ sync: 1 }, 'TypeError', 'option "sync" must be true or false, got 1'],
      [{ heartbeatMs: -1 }, 'RangeError', 'option "heartbeatMs" must be'],
      [{ heartbeatMs: '5s' }, 'TypeError', 'option "heartbeatMs" must be'],
      [{ heartbeat: 5 }, 'TypeError', 'unknown option "heartbeat"; did you mean "heartbeatMs"?'],
    ]
    for (const [options, name, message] of wrong) {
      expect(() => autoFlush(options as AutoFlushOptions), JSON.stringify(options))
        .to.throw(Error, message)
        .with.property('name', name)
    }
  })

  it('writes no heartbeat once the client has gone', async () => {
    const { res, client } = await open({ heartbeatMs: 20 })
    const gone = once(res, 'close')
    client.leave()
    await gone
    let written = 0
    res.write = () => {
      written++
      return true
    }
    await severalBeats()
    expect(written).to.equal(0)
  })

  it('serves HTTP/1.0 clients, without chunks', async () => {
    const app = express()
    app.use(autoFlush(), compression())
    const handled = new Promise<ServerResponse>((resolve) => {
      app.get('/', (_req, res) => {
        res.type('text/event-stream').write('data: 1\n\n')
        resolve(res)
      })
    })
    const { port } = await serve(app)
    const client = await RawClient.connect(port)
    client.write('GET / HTTP/1.0\r\n\r\n')
    const res = await handled
    await client.untilText('data: 1\n\n')
    res.write('data: 2\n\n')
    await client.untilText('data: 2\n\n')
    res.end()
    await client.closed()
  })
})

/** Waits until another stream has had three heartbeats: a timer that was set before would have fired as often. */
async function severalBeats(): Promise<void> {
  const { client } = await open({ heartbeatMs: 20 })
  await client.received(':\n\n:\n\n:\n\n:\n\n')
  client.leave()
}

/** Opens an event stream whose head and first comment are on their way. */
async function open(
  options: AutoFlushOptions,
  coding: Coding = 'identity',
  prepare: (res: Response) => void = () => {},
): Promise<{ res: Response; client: StreamingClient }> {
  const app = express()
  app.use(autoFlush(options), compression())
  const handled = new Promise<Response>((resolve) => {
    app.get('/', (_req, res) => {
      res.type('text/event-stream')
      prepare(res)
      res.write(':\n\n')
      resolve(res)
    })
  })
  const { url } = await serve(app)
  const [client, res] = await Promise.all([StreamingClient.get(url, coding), handled])
  return { res, client }
}
