import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'
import { expect } from 'chai'
import express from 'express'
import { bodyCache, maxBytes } from 'sluiceway'
import { asChunk, lastChunk, RawClient } from '../../support/clients/raw-client.js'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'

const CHUNKED =
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n'
const bytesOf = (req: IncomingMessage): Buffer => (req as unknown as { rawBody: Buffer }).rawBody
const answerWithRawBody: Handler = (req, res) => res.end(bytesOf(req))

for (const { name, mount } of hosts) {
  describe(`bodyCache({ rawBody: true }) on ${name}`, () => {
    afterEach(closeServers)

    it('sets req.rawBody before the next handler runs, and keeps the body readable', async () => {
      const answer: Handler = async (req, res) => {
        const before = String(bytesOf(req))
        res.end(JSON.stringify([before, await text(req), await req.bodyCache.json()]))
      }
      const { port } = await serve(mount(bodyCache({ rawBody: true }), express.json() as Handler, answer))
      const client = await RawClient.connect(port)
      client.write(CHUNKED, asChunk('{"a"'))
      client.write(asChunk(':1}'), lastChunk)
      const { body } = await client.response()
      expect(JSON.parse(String(body))).to.deep.equal(['{"a":1}', '{"a":1}', { a: 1 }])
      client.destroy()
    })

    it('runs no handler before the last byte', async () => {
      const { promise: reading, resolve } = deferred()
      let reached = false
      const watch: Handler = (req, _res, next) => {
        req.once('data', resolve)
        next()
      }
      const { port } = await serve(
        mount(watch, bodyCache({ rawBody: true }), (req, res) => {
          reached = true
          answerWithRawBody(req, res, () => {})
        }),
      )
      const client = await RawClient.connect(port)
      client.write(CHUNKED, asChunk('ab'))
      await reading
      expect(reached).to.equal(false)
      client.write(asChunk('cd'), lastChunk)
      expect(String((await client.response()).body)).to.equal('abcd')
      client.destroy()
    })

    it('holds the bytes as they came, compressed or not, and an empty Buffer without a body', async () => {
      const { url } = await serve(
        mount(bodyCache({ rawBody: true }), (req, res) => res.end(bytesOf(req).toString('hex'))),
      )
      const compressed = gzipSync('abc')
      const headers = { 'content-encoding': 'gzip' }
      const response = await fetch(url, { method: 'POST', body: compressed, headers })
      expect(await response.text()).to.equal(compressed.toString('hex'))
      for (const method of ['GET', 'POST']) expect(await (await fetch(url, { method })).text()).to.equal('')
    })

    for (const [title, middlewares] of [
      ['its own limit', [bodyCache({ rawBody: true, limit: 10 })]],
      ['maxBytes before it', [maxBytes(10), bodyCache({ rawBody: true })]],
      ['maxBytes behind one without', [bodyCache(), maxBytes(10), bodyCache({ rawBody: true })]],
    ] as const) {
      it(`answers a chunked body over ${title} with 413, and calls no handler`, async () => {
        const { port } = await serve(mount(...middlewares, (_req, res) => res.end('let through')))
        const client = await RawClient.connect(port)
        client.write(CHUNKED, asChunk('0123456789'))
        client.write(asChunk('x'))
        const { status, headers } = await client.response()
        expect([status, headers['connection']]).to.deep.equal([413, ['close']])
        await client.closed()
      })
    }

    it('calls next once, with the error, when the client leaves in the middle', async () => {
      const { promise: reading, resolve } = deferred()
      const { promise: told, resolve: tell } = deferred<unknown>()
      let calls = 0
      const middleware = bodyCache({ rawBody: true })
      const watched: Handler = (req, res, next) => {
        req.once('data', resolve)
        middleware(req, res, (error) => {
          calls += 1
          tell(error)
          next(error)
        })
      }
      const { port, connections } = await serve(mount(watched, (_req, res) => res.end('let through')))
      const client = await RawClient.connect(port)
      client.write(CHUNKED, asChunk('abc'))
      await reading
      client.destroy()
      expect(await told).to.include({
        status: 400,
        type: 'request.aborted',
        code: 'ERR_SLUICEWAY_BODY_ABORTED',
      })
      if (!connections[0]!.closed) await once(connections[0]!, 'close')
      expect(calls).to.equal(1)
    })
  })
}
