import { PassThrough, Readable } from 'node:stream'
import { TransformStream } from 'node:stream/web'
import { expect } from 'chai'
import { bodyCache, maxBytes } from 'sluiceway'
import { asChunk, lastChunk } from '../../support/clients/raw-client.js'
import { withEntry } from '../../support/error-entry.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { proxied } from '../../support/servers/proxied.js'
import { answer } from '../../support/servers/scripted-upstream.js'
import { closeServers } from '../../support/servers/servers.js'
import { until } from '../../support/time/until.js'
import { transformOf, upperCase, Watched } from '../hook-bodies/transforms.js'

const FAILED = withEntry('passthroughProxy: a transform of onRequest failed', 'ERR_SLUICEWAY_PROXY_HOOK')
const postChunked = 'POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n'

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy, a change of a request's body that ends early or fails (${name})`, () => {
    afterEach(closeServers)

    for (const [what, create, cause] of [
      [
        'throws',
        () =>
          transformOf(() => {
            throw new Error('the cause')
          }),
        'the cause',
      ],
      [
        'calls back with an error',
        () => transformOf((_chunk, done) => done(new Error('the cause'))),
        'the cause',
      ],
      [
        'is destroyed',
        () =>
          transformOf(function () {
            this.destroy()
          }),
        'the body was closed before its end',
      ],
      [
        'emits a number',
        () => new TransformStream({ transform: (_chunk, controller) => controller.enqueue(7) }),
        'a body consists of bytes or strings, got a number',
      ],
      [
        'of the web throws',
        () =>
          new TransformStream({
            transform() {
              throw new Error('the cause')
            },
          }),
        'the cause',
      ],
    ] as const) {
      it(`answers 500 where a transform ${what}, and ends the request upstream`, async () => {
        const { client, upstream, errors } = await proxied({
          express,
          onRequest: (outgoing) => void outgoing.pipeThrough(create()),
        })
        client.request('POST', '/', {}, 'body')
        expect((await client.response()).status).to.equal(500)
        expect(errors).to.have.length(1)
        expect(errors[0]).to.include({ message: FAILED })
        expect(errors[0]?.cause).to.include({ message: cause })
        for (const connection of upstream.takeNew()) {
          await connection.closed()
          expect(connection.pending.toString()).not.to.include(lastChunk)
        }
      })
    }

    it('takes the early end of a transform for the end of the body', async () => {
      const { client, upstream } = await proxied({
        express,
        onRequest: (outgoing) =>
          void outgoing.pipeThrough(
            transformOf(function (chunk, done) {
              if (!this.readableEnded) this.push(chunk.subarray(0, 4))
              this.push(null)
              done()
            }),
          ),
      })
      client.write(postChunked, asChunk('head and more'))
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      expect((await connection.chunkedBody()).toString()).to.equal('head')
      connection.write(answer('enough'))
      expect((await client.response()).body.toString()).to.equal('enough')
    })

    it('gives a transform nothing after its early end, and sends all that it has given before', async () => {
      let calls = 0
      const whole = Buffer.alloc(8 * 1024 * 1024, 'abc')
      const { client, upstream, errors } = await proxied({
        express,
        onRequest: (outgoing, req) =>
          void outgoing.pipeThrough(
            transformOf(function (_chunk, done) {
              calls += 1
              this.push(req.url === '/' ? whole : 'x')
              this.push(null)
              done()
            }),
          ),
      })
      // The upstream does not read, so that the end of the transform is far from its last byte.
      client.write('POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 200000\r\n\r\n', Buffer.alloc(100_000))
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      connection.socket.pause()
      await until(() => calls > 0)
      client.write(Buffer.alloc(50_000))
      for (let n = 0; n < 200; n++) await new Promise(setImmediate)
      connection.socket.resume()
      expect((await connection.chunkedBody()).equals(whole)).to.equal(true)
      expect(calls).to.equal(1)
      // The client has not sent its whole body by then, and its connection serves the next request.
      connection.write(answer('enough'))
      expect((await client.response()).body.toString()).to.equal('enough')
      client.write(Buffer.alloc(50_000), 'POST /next HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\n!')
      const next = await Promise.race([
        upstream.connectionWith('POST /next'),
        connection.untilText('POST /next').then(() => connection),
      ])
      next.write(answer('next'))
      expect((await client.response()).body.toString()).to.equal('next')
      expect(errors).to.deep.equal([])
    })

    it('ends the transform, and the request upstream, when the client leaves in the middle', async () => {
      const stage = new Watched()
      const { client, upstream, errors } = await proxied({
        express,
        onRequest: (outgoing) => void outgoing.pipeThrough(stage),
      })
      client.write(postChunked, asChunk('half'))
      const connection = await upstream.connection()
      await connection.untilText('half')
      client.destroy()
      await connection.closed()
      await until(() => stage.destroyed)
      expect(connection.pending.toString()).not.to.include(lastChunk)
      expect(errors).to.deep.equal([])
    })

    it('passes on an early answer, and ends the transform', async () => {
      const stages = [new Watched(), new Watched()] as const
      const { client, upstream } = await proxied({
        express,
        onRequest: (outgoing, req) => void outgoing.pipeThrough(stages[req.url === '/next' ? 1 : 0]),
      })
      client.write(postChunked, asChunk('half'))
      const connection = await upstream.connection()
      await connection.untilText('half')
      connection.write(answer('no', 'Connection: close\r\n').replace('200 OK', '403 Forbidden'))
      expect((await client.response()).status).to.equal(403)
      await until(() => stages[0].destroyed)
      client.write(asChunk('rest'), lastChunk)
      client.request('GET', '/next')
      ;(await upstream.connectionWith('GET /next')).write(answer('next'))
      expect((await client.response()).body.toString()).to.equal('next')
    })

    for (const [what, before] of [
      ['maxBytes', maxBytes('1kb')],
      ['bodyCache', bodyCache({ limit: '1kb' })],
    ] as const) {
      it(`keeps the 413 of ${what}, and its body below the limit`, async () => {
        const { client, upstream, errors } = await proxied({
          express,
          prepare: (app) => void app.use(before),
          onRequest: (outgoing) => void outgoing.pipeThrough(upperCase()),
        })
        client.request('POST', '/', {}, ['small'])
        const connection = await upstream.connection()
        await connection.untilText('SMALL')
        connection.write(answer('ok', 'Connection: close\r\n'))
        expect((await client.response()).status).to.equal(200)
        client.request('POST', '/', {}, ['large'.repeat(1000)])
        expect((await client.response()).status).to.equal(413)
        expect(errors[0]).to.include({ code: 'ERR_SLUICEWAY_BODY_TOO_LARGE' })
      })
    }

    for (const [what, given] of [
      ['a function', () => {}],
      ['a Readable', Readable.from([])],
    ] as const) {
      it(`refuses ${what} in the place of a transform`, async () => {
        const { client, errors } = await proxied({
          express,
          onRequest: (outgoing) => void outgoing.pipeThrough(given as never),
        })
        client.request('POST', '/', {}, 'body')
        expect((await client.response()).status).to.equal(500)
        expect(String(errors[0]?.cause)).to.match(/^TypeError: pipeThrough takes a Duplex/)
      })
    }

    it('destroys a stream of the hook whose transform fails', async () => {
      const source = new PassThrough()
      const { client } = await proxied({
        express,
        onRequest(outgoing) {
          outgoing.body = source
          outgoing.pipeThrough(transformOf((_chunk, done) => done(new Error('the cause'))))
        },
      })
      client.request('POST', '/', {}, 'body')
      source.write('half')
      expect((await client.response()).status).to.equal(500)
      expect(source.destroyed).to.equal(true)
    })

    it('destroys a stream of the hook that goes through a transform, and takes its error', async () => {
      const source = new PassThrough()
      const { client, upstream, errors } = await proxied({
        express,
        onRequest(outgoing) {
          outgoing.body = source
          outgoing.pipeThrough(upperCase())
        },
      })
      client.request('POST', '/', {}, 'body')
      source.write('half')
      const connection = await upstream.connection()
      await connection.untilText('HALF')
      source.destroy(new Error('no more'))
      expect((await client.response()).status).to.equal(500)
      expect(errors[0]?.cause).to.include({ message: 'no more' })
    })
  })
}
