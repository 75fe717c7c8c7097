import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { maxBytes } from 'sluiceway/max-bytes'
import { asChunk, lastChunk, RawClient } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { MockedClock } from '../support/time/mocked-clock.js'
import { until } from '../support/time/until.js'

const CHUNKED = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'
const refuseAtOnce: Handler = (_req, res) => {
  res.statusCode = 403
  res.end('no')
}

/** Sends the head while a listener is reading, so that no close is announced, and leaves the rest unread. */
const flushThenEnd: Handler = (req, res) => {
  const ignore = (): void => {}
  res.statusCode = 403
  res.setHeader('Content-Length', 2)
  req.on('data', ignore)
  res.flushHeaders()
  req.off('data', ignore).pause()
  res.end('no')
}

for (const { name, mount } of hosts) {
  describe(`maxBytes on ${name}, when a request is answered before its body is whole`, () => {
    const clock = new MockedClock()
    afterEach(() => clock.restore())
    afterEach(closeServers)

    it('discards a small rest and serves the next request on the connection', async () => {
      const { port, connections } = await serve(mount(maxBytes('1mb'), refuseAtOnce))
      const client = await RawClient.connect(port)
      const listeners = new Set<number>()
      for (let round = 0; round < 20; round++) {
        client.write(CHUNKED)
        expect((await client.response()).status).to.equal(403)
        client.write(asChunk(Buffer.alloc(10_000)), lastChunk)
        listeners.add(connections[0]!.listenerCount('close'))
      }
      expect(listeners).to.have.lengthOf(1)
      expect(connections).to.have.length(1)
      client.destroy()
    })

    it("emits 'end' and 'close' on a request whose small rest is discarded, as Node does", async () => {
      const closed = deferred<string[]>()
      const note: Handler = (req, res) => {
        const heard: string[] = []
        req.on('end', () => heard.push('end')).on('close', () => closed.resolve([...heard, 'close']))
        res.end('ok')
      }
      const { port } = await serve(mount(maxBytes('1mb'), note))
      const client = await RawClient.connect(port)
      client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc')
      await client.response()
      client.write('def')
      expect(await closed.promise).to.deep.equal(['end', 'close'])
      client.destroy()
    })

    for (const [framing, rest] of [
      ['Content-Length: 200000', Buffer.alloc(200_000)],
      ['Transfer-Encoding: chunked', Buffer.concat([asChunk(Buffer.alloc(200_000)), Buffer.from(lastChunk)])],
    ] as const) {
      it(`serves a request that is pipelined after a small rest, ${framing}`, async () => {
        const answerWithUrl: Handler = (req, res) => {
          res.statusCode = req.method === 'POST' ? 403 : 200
          res.end(req.url)
        }
        const { port, connections } = await serve(mount(maxBytes('1mb'), answerWithUrl))
        const client = await RawClient.connect(port)
        const upload = `POST /upload HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n`
        client.write(upload, rest, 'GET /next HTTP/1.1\r\nHost: a\r\n\r\n')
        const answers = [await client.response(), await client.response()]
        expect(answers.map(({ status, body }) => [status, body.toString()])).to.deep.equal([
          [403, '/upload'],
          [200, '/next'],
        ])
        expect(connections).to.have.length(1)
        client.destroy()
      })
    }

    it('keeps the connection when only a small rest of a large body is missing', async () => {
      const answerHalfway: Handler = async (req, res) => {
        await until(() => req.readableLength >= 10_000)
        refuseAtOnce(req, res, () => {})
      }
      const { port } = await serve(mount(maxBytes('1mb'), answerHalfway))
      const client = await RawClient.connect(port)
      client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 270000\r\n\r\n', Buffer.alloc(20_000))
      const { status, headers } = await client.response()
      expect([status, headers['connection']?.[0] ?? 'keep-alive']).to.deep.equal([403, 'keep-alive'])
      client.destroy()
    })

    it('keeps the connection for longer than lingerMs after a small rest that arrived in time', async () => {
      const lingerMs = 20
      const { port, connections } = await serve(mount(maxBytes({ limit: '1mb', lingerMs }), refuseAtOnce))
      const client = await RawClient.connect(port)
      clock.stop()
      client.write(CHUNKED)
      await client.response()
      client.write(asChunk(Buffer.alloc(10_000)), lastChunk)
      await until(() => connections[0]!.bytesRead === client.socket.bytesWritten)
      // Longer than the timer that must not be running any more.
      await clock.pass(lingerMs * 2)
      client.request('GET', '/')
      expect((await client.response()).status).to.equal(403)
      client.destroy()
    })

    it('answers before it counts the bytes that lingerBytes allows', async () => {
      const { port } = await serve(
        mount(maxBytes({ limit: 10, lingerBytes: 0 }), (req, _res, next) =>
          text(req).then(() => next(), next),
        ),
      )
      const client = await RawClient.connect(port)
      client.write(CHUNKED, asChunk('0123456789x'), asChunk('behind it, in the same read'))
      expect((await client.response()).status).to.equal(413)
      client.destroy()
    })

    const lingerBytes = 1024 * 1024
    const smaller = maxBytes({ limit: '10mb', lingerBytes })
    for (const [mounted, limits] of [
      ['once', [maxBytes({ limit: Infinity, lingerBytes })]],
      ['before a larger limit', [smaller, maxBytes(Infinity)]],
      ['behind a larger limit', [maxBytes(Infinity), smaller]],
    ] as const) {
      it(`closes the connection after a large rest, and reads no more than lingerBytes of it, mounted ${mounted}`, async () => {
        const { port, connections } = await serve(mount(...limits, refuseAtOnce))
        const client = await RawClient.connect(port)
        client.write(CHUNKED)
        expect((await client.response()).status).to.equal(403)
        const block = asChunk(Buffer.alloc(64 * 1024))
        const send = (): void => {
          while (client.socket.writable && client.write(block));
        }
        client.socket.on('drain', send)
        send()
        await once(connections[0]!, 'close')
        expect(connections[0]!.bytesRead).to.be.within(lingerBytes, lingerBytes + 400 * 1024)
      })
    }

    for (const [framing, rest] of [
      ['Transfer-Encoding: chunked', [asChunk(Buffer.alloc(1024 * 1024)), lastChunk]],
      // The head is out before the body is known to be larger than what is left of it.
      ['Content-Length: 1000000', [Buffer.alloc(1_000_000)]],
    ] as const) {
      it(`keeps a connection whose close it did not announce if 1 MB ends in time, ${framing}`, async () => {
        const { port, connections } = await serve(mount(maxBytes('10mb'), flushThenEnd))
        const client = await RawClient.connect(port)
        client.write(`POST / HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n`)
        const { headers, body } = await client.response()
        expect([headers['connection'], String(body)]).to.deep.equal([['keep-alive'], 'no'])
        client.write(...rest)
        client.request('GET', '/next')
        expect((await client.response()).status).to.equal(403)
        expect(connections).to.have.length(1)
        client.destroy()
      })
    }

    it('cuts a connection whose close it did not announce after lingerMs', async () => {
      const { port, connections } = await serve(
        mount(maxBytes({ limit: '10mb', lingerMs: 50 }), refuseAtOnce),
      )
      const client = await RawClient.connect(port)
      client.write(CHUNKED)
      expect((await client.response()).status).to.equal(403)
      client.write(asChunk(Buffer.alloc(1024 * 1024)))
      await once(connections[0]!, 'close')
    })

    for (const [mounted, limits] of [
      ['once', [maxBytes('10mb')]],
      ['twice', [maxBytes('20mb'), maxBytes('10mb')]],
    ] as const) {
      it(`announces that it closes the connection if the rest is known to be large, mounted ${mounted}`, async () => {
        const { port } = await serve(mount(...limits, refuseAtOnce))
        const client = await RawClient.connect(port)
        client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n')
        const { status, headers } = await client.response()
        expect([status, headers['connection']]).to.deep.equal([403, ['close']])
      })
    }

    it('keeps the connection of an upload that is still being read when its answer begins', async () => {
      const echo: Handler = (req, res) => void req.pipe(res)
      const { port, connections } = await serve(mount(maxBytes('10mb'), echo))
      const client = await RawClient.connect(port)
      for (let round = 0; round < 2; round++) {
        client.request('POST', '/', {}, 'x'.repeat(1_000_000))
        const { headers, body } = await client.response()
        expect([headers['connection'], body.length]).to.deep.equal([['keep-alive'], 1_000_000])
      }
      expect(connections).to.have.length(1)
      client.destroy()
    })

    it('does not wait for ever for a rest that does not arrive', async () => {
      const { port, connections } = await serve(mount(maxBytes({ limit: 100, lingerMs: 50 }), refuseAtOnce))
      const client = await RawClient.connect(port)
      client.write(CHUNKED)
      expect((await client.response()).status).to.equal(403)
      await once(connections[0]!, 'close')
    })

    it('lets a reader that has answered continue to read', async () => {
      let read: Promise<string> | undefined
      const accept: Handler = (req, res) => {
        read = text(req)
        res.statusCode = 202
        res.end()
      }
      const { port } = await serve(mount(maxBytes(10), accept))
      const client = await RawClient.connect(port)
      client.write(CHUNKED)
      expect((await client.response()).status).to.equal(202)
      client.write(asChunk('0123456789'), lastChunk)
      expect(await read).to.equal('0123456789')
      client.destroy()
    })

    it('gives such a reader the error past the limit, and closes the connection', async () => {
      let read: Promise<unknown> | undefined
      const accept: Handler = (req, res) => {
        read = text(req).catch((error: { code: string }) => error.code)
        res.statusCode = 202
        res.end()
      }
      const { port } = await serve(mount(maxBytes({ limit: 10, lingerMs: 60_000 }), accept))
      const client = await RawClient.connect(port)
      client.write(CHUNKED)
      expect((await client.response()).status).to.equal(202)
      client.write(asChunk('0123456789x'))
      expect(await read).to.equal('ERR_SLUICEWAY_BODY_TOO_LARGE')
      await client.closed()
    })
  })
}
