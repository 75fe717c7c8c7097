import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { expect } from 'chai'
import compression from 'compression'
import express, { type RequestHandler } from 'express'
import { autoFlush, type AutoFlushOptions } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { StreamingClient } from '../support/clients/streaming-client.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { passedTimers } from '../support/time/passed-timers.js'
import { waitFor } from '../support/time/waiting.js'
import { open } from './event-streams.js'

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

    for (const [coalesce, order] of [
      ['tick', ['flush', 'tick', 'turn']],
      ['immediate', ['tick', 'flush', 'turn']],
      [undefined, ['tick', 'flush', 'turn']],
      [1, ['tick', 'turn', 'flush']],
    ] as const) {
      it(`${coalesce} flushes at its point in the event loop: ${order.join(', ')}`, async () => {
        const happened: string[] = []
        const flushed = deferred()
        const app = express()
        app.use(
          noting(() => flushed.resolve(void happened.push('flush'))),
          autoFlush({ coalesce }),
        )
        app.get('/', (_req, res) => {
          res.type('text/plain').write('written')
          process.nextTick(() => happened.push('tick'))
          setImmediate(() => {
            happened.push('turn')
            void flushed.promise.then(() => res.end())
          })
        })
        const { url } = await serve(app)
        await (await StreamingClient.get(url)).ended()
        expect(happened).to.deep.equal(order)
      })
    }

    it('immediate flushes once in a turn of the event loop, even if it comes between the writes of two turns', async () => {
      const happened: string[] = []
      const app = express().use(
        noting(() => happened.push('flush')),
        autoFlush(),
      )
      app.get('/', (_req, res) => {
        res.type('text/plain').write('one')
        setImmediate(() => {
          setImmediate(() => {
            happened.push('next turn')
            setImmediate(() => res.end())
          })
          res.write('three')
        })
        res.write('two')
      })
      const { url } = await serve(app)
      await (await StreamingClient.get(url)).ended()
      expect(happened).to.deep.equal(['flush', 'next turn', 'flush'])
    })

    for (const over of ['end', 'destroy'] as const) {
      it(`does not flush again after ${over}()`, async () => {
        let flushes = 0
        const app = express().use(
          noting(() => flushes++),
          autoFlush(),
        )
        app.get('/', (_req, res) => {
          res.type('text/plain').write('written')
          res[over]()
        })
        const { port } = await serve(app)
        const client = await RawClient.connect(port)
        client.request('GET', '/', { Connection: 'close' })
        await client.closed()
        expect(flushes).to.equal(0)
      })
    }

    it('in milliseconds waits that long', async () => {
      const { res, client } = await open({ coalesce: 100 }, 'gzip')
      // Until then, the write would join the flush of the first one.
      await client.received(':\n\n')
      const passed = passedTimers(100, 5000)
      res.write('data: late\n\n')
      await client.received('late')
      expect(passed()).to.deep.equal([100])
      client.leave()
    })
  })

  describe('with filter', () => {
    it('does not touch a response that the filter refuses', async () => {
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

    it('may include responses with Content-Length', async () => {
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
        expect(res.write(`data: ${n}\n\n`)).to.equal(true)
        expect(res.socket?.writableLength).to.equal(0)
        expect(res.socket?.bytesWritten).to.be.above(before)
      }
      client.leave()
    })

    it('has handed the first write to the socket too, together with the head', async () => {
      const app = express()
      app.use(autoFlush({ sync: true }))
      app.get('/', (_req, res) => {
        res.write('first')
        res.end(`, ${res.socket?.writableLength} waiting`)
      })
      const { url } = await serve(app)
      expect(await (await StreamingClient.get(url)).ended()).to.equal('first, 0 waiting')
    })

    it('lets a pipe continue past the high-water mark', async () => {
      const chunk = 'x'.repeat(100_000)
      const app = express().use(autoFlush({ sync: true }))
      app.get('/', (_req, res) => void Readable.from([chunk, chunk, chunk]).pipe(res))
      const { url } = await serve(app)
      expect(await (await StreamingClient.get(url)).ended()).to.have.lengthOf(300_000)
    })

    it('still returns false from write once the client does not keep up', async () => {
      const { res, client } = await open({ sync: true })
      const chunk = 'x'.repeat(64 * 1024)
      let writes = 0
      while (writes < 1000 && res.write(chunk)) writes++
      expect(writes).to.be.below(1000)
      client.leave()
    })

    it('does not touch whole answers', async () => {
      const app = express()
      app.use(autoFlush({ sync: true }))
      app.get('/', (_req, res) => {
        res.set('Content-Length', '6').write('wh')
        res.end('ole!')
      })
      const { url } = await serve(app)
      expect(await (await StreamingClient.get(url)).ended()).to.equal('whole!')
    })

    it('reports a write after the end, as without autoFlush', async () => {
      const { res, client } = await open({ sync: true })
      res.end()
      await client.ended()
      if (!res.closed) await once(res, 'close')
      expect(res.socket).to.equal(null)
      const error = await new Promise((resolve) => res.write('late', resolve))
      expect(error).to.have.property('code', 'ERR_STREAM_WRITE_AFTER_END')
    })

    it('keeps corked writes of the handler back', async () => {
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

  it('refuses wrong options', () => {
    const wrong: [unknown, string, string][] = [
      [
        { coalesce: 'soon' },
        'TypeError',
        `autoFlush: option "coalesce" must be 'immediate', 'tick' or a whole number of milliseconds from 1 up, got "soon"`,
      ],
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
    const res = await waitFor('the app to be asked', handled)
    await client.untilText('data: 1\n\n')
    res.write('data: 2\n\n')
    await client.untilText('data: 2\n\n')
    res.end()
    await client.closed()
  })
})

/** Acts as an unknown compressor with a `res.flush()`, and reports each call of that. */
function noting(flushed: () => void): RequestHandler {
  return (_req, res, next) => {
    res.set('Content-Encoding', 'identity')
    res.flush = flushed
    next()
  }
}
