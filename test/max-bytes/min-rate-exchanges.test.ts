import { once } from 'node:events'
import http2 from 'node:http2'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { bodyCache, maxBytes, passthroughProxy, type SluicewayError } from 'sluiceway'
import { asChunk, lastChunk, RawClient } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { attached } from '../support/servers/attached.js'
import { answer, scriptedUpstream } from '../support/servers/scripted-upstream.js'
import { listen, serve } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { turns } from '../support/time/turns.js'
import {
  stopClock,
  HOUR,
  CHUNKED,
  limited,
  clock,
  echo,
  readers,
  begin,
  send,
  expectRefused,
  finish,
} from './slow-clients.js'

describe('maxBytes({ minRate })', () => {
  stopClock()

  // Iterators of requests that Express has handled are ours wherever bodyCache has ever run.
  const { mount } = hosts[0]!

  it('counts for a maxBytes behind which the body is read already', async () => {
    const lax = maxBytes({ limit: '1mb', minRate: { bytesPerSecond: 1, graceMs: 60_000 } })
    const read: Handler = (req, _res, next) => {
      req.on('data', () => {}).on('error', () => {})
      setImmediate(() => setImmediate(next))
    }
    const { port } = await serve(mount(lax, read, limited, () => {}))
    const client = await begin(port)
    await clock.pass(5000)
    // Somebody has heard of it, and stays silent for `lingerMs`.
    await clock.pass(2000)
    await expectRefused(client)
  })

  for (const [order, first, second] of [
    ['first', 60_000, 1000],
    ['second', 1000, 60_000],
  ] as const) {
    it(`counts the strictest of several, the lax one ${order}`, async () => {
      const rates = [first, second].map((graceMs) =>
        maxBytes({ limit: '1mb', minRate: { bytesPerSecond: 1, graceMs } }),
      )
      const { port } = await serve(mount(...rates, maxBytes('10mb'), echo))
      const client = await begin(port)
      await clock.pass(999)
      expect(client.pending.toString()).to.equal('')
      await clock.pass(1)
      await expectRefused(client)
    })
  }

  it('counts bytes that came while the process was busy as sent in time', async () => {
    const { port } = await serve(mount(limited, echo))
    const client = await begin(port)
    // In one turn: the bytes are in the kernel, and the timer is overdue.
    await new Promise<void>((resolve) => {
      client.socket.write(asChunk(' '.repeat(500)), () => {
        clock.jump(60_000)
        resolve()
      })
    })
    await clock.pass(4999)
    expect(client.pending.toString()).to.equal('')
    expect(await finish(client)).to.equal(200)
  })

  it('does not count for a request that waits for its turn', async () => {
    const first = deferred()
    const { port } = await serve(
      mount(limited, (req, res, next) => {
        if (req.url === '/first') void first.promise.then(() => res.end('first'))
        else echo(req, res, next)
      }),
    )
    const client = await RawClient.connect(port)
    client.request('GET', '/first')
    client.request('POST', '/', CHUNKED)
    await clock.pass(HOUR)
    first.resolve()
    expect((await client.response()).body.toString()).to.equal('first')
    await clock.pass(4999)
    expect(client.pending.toString()).to.equal('')
    await clock.pass(1)
    await expectRefused(client)
  })

  it('does not count before the 100 Continue', async () => {
    const read = deferred()
    const { port } = await attached(
      mount(limited, (req, res, next) => {
        // It flows, and nobody has asked for it.
        req.resume()
        void read.promise.then(() => readers["a listener for 'data'"]!(req, res, next))
      }),
    )
    const client = await begin(port, '', { ...CHUNKED, Expect: '100-continue' })
    await clock.pass(HOUR)
    expect(client.pending.toString()).to.equal('')
    read.resolve()
    await client.untilText('HTTP/1.1 100 Continue\r\n\r\n')
    await clock.pass(4999)
    expect(client.pending.toString()).to.equal('')
    await clock.pass(1)
    await expectRefused(client)
  })

  for (const [how, before] of [
    ['alone', []],
    ['with bodyCache', [bodyCache()]],
  ] as const) {
    it(`counts if a proxy reads, ${how}, but not while its upstream does not`, async () => {
      const upstream = await scriptedUpstream()
      const { port } = await serve(
        mount(limited, ...before, passthroughProxy(upstream.url, { headersTimeoutMs: 0 })),
      )
      const client = await begin(port)
      const connection = await upstream.connection()
      await connection.untilText('[')
      connection.socket.pause()
      client.write(asChunk(Buffer.alloc(8 * 1024 * 1024)), asChunk(']'))
      await turns(200)
      await clock.pass(HOUR)
      expect(client.pending.toString()).to.equal('')
      connection.socket.resume()
      await connection.untilText(']\r\n')
      // The last of it may have to be written to its file first.
      while (client.pending.length === 0) await clock.pass(100)
      await expectRefused(client)
    })
  }

  it('passes a steady upload on', async () => {
    const upstream = await scriptedUpstream()
    const { port } = await serve(mount(limited, passthroughProxy(upstream.url)))
    const client = await begin(port)
    const connection = await upstream.connection()
    for (let seconds = 0; seconds < 10; seconds++) {
      await clock.pass(1000)
      await send(client, 100)
    }
    client.write(lastChunk)
    await connection.untilText(lastChunk)
    connection.write(answer('stored'))
    expect((await client.response()).body.toString()).to.equal('stored')
  })

  it('still applies after an early answer, and cuts the connection', async () => {
    const failed = deferred<SluicewayError>()
    const { port } = await serve(
      mount(limited, (req, res) => {
        req.on('data', () => {}).on('error', failed.resolve as never)
        res.end('stored soon')
      }),
    )
    const client = await begin(port)
    expect((await client.response()).status).to.equal(200)
    await clock.pass(5000)
    expect((await failed.promise).code).to.equal('ERR_SLUICEWAY_BODY_TOO_SLOW')
    await client.closed()
  })

  it('forgets a client that leaves', async () => {
    const { port, connections } = await serve(mount(limited, echo))
    const client = await begin(port)
    const closed = deferred()
    connections[0]!.once('close', closed.resolve)
    client.destroy()
    await closed.promise
    await turns()
    expect(clock.pending).to.equal(0)
  })

  describe('on HTTP/2', () => {
    for (const [how, before] of [
      ['alone', []],
      ['with bodyCache', [bodyCache()]],
    ] as const) {
      it(`refuses a slow stream, and keeps the session, ${how}`, async () => {
        const { port } = await listen(
          http2.createServer(hosts[0]!.mount(limited, ...before, echo) as never) as never,
        )
        const session = http2.connect(`http://127.0.0.1:${port}`)
        try {
          const slow = session.request({ ':method': 'POST' })
          slow.write('[')
          const other = session.request({ ':method': 'POST' })
          other.write('[')
          await turns(20)
          await clock.pass(4000)
          other.write(' '.repeat(500))
          await turns(20)
          const [headers] = await Promise.all([once(slow, 'response'), clock.pass(1000)])
          expect(headers[0]).to.include({ ':status': 408 })
          await once(slow.resume(), 'close')
          expect(slow.rstCode).to.equal(http2.constants.NGHTTP2_NO_ERROR)
          other.end(']')
          expect(await text(other)).to.have.length(502)
        } finally {
          session.destroy()
        }
      })
    }
  })
})
