import http from 'node:http'
import http2 from 'node:http2'
import { PassThrough, Readable } from 'node:stream'
import { TransformStream } from 'node:stream/web'
import { expect } from 'chai'
import { bodyCache, maxBytes, passthroughProxy } from 'sluiceway'
import { asChunk, lastChunk } from '../../support/clients/raw-client.js'
import { withEntry } from '../../support/error-entry.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { proxied } from '../../support/servers/proxied.js'
import { answer, scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, listen } from '../../support/servers/servers.js'
import { standstill } from '../../support/time/standstill.js'
import { until } from '../../support/time/until.js'
import { needsOwnClient } from '../../support/undici/transports.js'
import { transformOf, upperCase, upperCases, Watched, webUpperCase } from '../hook-bodies/transforms.js'

const FAILED = withEntry('passthroughProxy: a transform of onRequest failed', 'ERR_SLUICEWAY_PROXY_HOOK')
const postChunked = 'POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n'

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy changes the body of a request (${name})`, () => {
    afterEach(closeServers)

    for (const [kind, create] of upperCases) {
      for (const [what, body] of [
        ['a small body', 'small'],
        ['a large body', 'large'.repeat(200_000)],
        ['a body in chunks', ['one', 'two']],
        ['a body of no bytes in chunks', []],
      ] as const) {
        it(`sends ${what} through ${kind}, in chunks, and so the next one`, async function () {
          if (body.length === 0) needsOwnClient(this, 'it sends no empty chunked body')
          const { client, upstream } = await proxied({
            express,
            onRequest: (outgoing) => void outgoing.pipeThrough(create()),
          })
          const text = typeof body === 'string' ? body : body.join('')
          for (let n = 0; n < 2; n++) {
            client.request(
              'POST',
              '/',
              { 'Content-Digest': 'x', 'Content-Type': 'text/plain' },
              body as string,
            )
            const connection = await upstream.connectionWith('POST ')
            const head = await connection.untilText('\r\n\r\n')
            expect(head)
              .to.match(/\r\ntransfer-encoding: chunked\r\n/i)
              .and.not.match(/content-(?:length|digest)/i)
            expect(head).to.match(/\r\ncontent-type: text\/plain\r\n/i)
            expect((await connection.chunkedBody()).toString() === text.toUpperCase()).to.equal(true)
            connection.write(answer('ok', 'Connection: close\r\n'))
            expect((await client.response()).body.toString()).to.equal('ok')
          }
        })
      }

      it(`sends each chunk through ${kind} as it comes`, async () => {
        const { client, upstream } = await proxied({
          express,
          onRequest: (outgoing) => void outgoing.pipeThrough(create()),
        })
        client.write(postChunked, asChunk('one'))
        const connection = await upstream.connection()
        await connection.untilText('ONE')
        client.write(asChunk('two'))
        await connection.untilText('TWO')
        client.write(lastChunk)
        await connection.untilText(lastChunk)
        connection.write(answer())
        expect((await client.response()).status).to.equal(200)
      })
    }

    it('sends a body through several transforms, and one that the hook has set', async () => {
      for (const [body, sent] of [
        [undefined, 'CLIENT!'],
        ['hook', 'HOOK!'],
        [Buffer.from('hook'), 'HOOK!'],
        [Readable.from([Buffer.from('hook')]), 'HOOK!'],
      ] as const) {
        const { client, upstream } = await proxied({
          express,
          onRequest(outgoing) {
            if (body !== undefined) outgoing.body = body
            outgoing.pipeThrough(webUpperCase()).pipeThrough(
              transformOf(
                (chunk, done) => done(null, chunk),
                (done) => done(null, '!'),
              ),
            )
          },
        })
        client.request('POST', '/', {}, 'client')
        const connection = await upstream.connection()
        await connection.untilText('\r\n\r\n')
        expect((await connection.chunkedBody()).toString()).to.equal(sent)
      }
    })

    it('keeps a Content-Length that the hook sets afterwards', async () => {
      const { client, upstream } = await proxied({
        express,
        onRequest: (outgoing) => outgoing.pipeThrough(upperCase()).headers.set('Content-Length', '4'),
      })
      client.request('POST', '/', {}, 'body')
      const connection = await upstream.connection()
      expect(await connection.untilText('BODY')).to.match(/\r\ncontent-length: 4\r\n/i)
    })

    it('does nothing without a body', async () => {
      const stage = new Watched()
      const { exchange } = await proxied({
        express,
        onRequest: (outgoing) => void outgoing.pipeThrough(stage),
      })
      const { seen } = await exchange('GET / HTTP/1.1\r\nHost: test\r\n\r\n')
      expect(seen).not.to.match(/transfer-encoding|content-length/i)
      expect(stage.destroyed).to.equal(true)
    })

    it('passes on the trailers, but no digest of other bytes', async function () {
      needsOwnClient(this, 'it sends no trailers')
      const { client, upstream } = await proxied({
        express,
        onRequest: (outgoing) => void outgoing.pipeThrough(upperCase()),
      })
      client.write(postChunked, asChunk('body'), '0\r\nX-Sum: 1\r\nContent-Digest: x\r\n\r\n')
      const connection = await upstream.connection()
      expect(await connection.untilText('X-Sum: 1\r\n\r\n')).not.to.match(/digest/i)
    })

    it('reads nothing before the upstream takes it', async () => {
      const stage = new Watched()
      const { client, errors } = await proxied({
        express,
        target: () => 'http://127.0.0.1:1',
        prepare: (app) =>
          void app.use((req, _res, next) => {
            next()
            expect(req.readableDidRead).to.equal(false)
          }),
        onRequest: (outgoing) => void outgoing.pipeThrough(stage),
      })
      client.request('POST', '/', {}, 'body')
      expect((await client.response()).status).to.equal(502)
      expect(errors[0]).to.include({ code: 'ERR_SLUICEWAY_UPSTREAM_UNREACHABLE' })
      expect(stage.seen).to.equal('')
      expect(stage.destroyed).to.equal(true)
    })

    it('answers an expectation only when the body is read', async () => {
      const { client, upstream } = await proxied({
        express,
        onRequest: (outgoing) => void outgoing.pipeThrough(upperCase()),
      })
      client.write('POST / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n')
      await client.untilText('HTTP/1.1 100 Continue\r\n\r\n')
      client.write('body')
      await (await upstream.connection()).untilText('BODY')
    })

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

    it('holds the client back while a transform is slow', async function () {
      needsOwnClient(this, 'it sends the head with the first byte of the body')
      const stage = transformOf(() => {})
      const { client, upstream } = await proxied({
        express,
        onRequest: (outgoing) => void outgoing.pipeThrough(stage),
      })
      client.write('POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 67108864\r\n\r\n')
      expect(client.write(Buffer.alloc(64 * 1024 * 1024))).to.equal(false)
      await (await upstream.connection()).untilText('\r\n\r\n')
      await until(() => stage.writableNeedDrain || stage.writableLength > 0)
      expect(client.socket.writableLength).to.be.above(8 * 1024 * 1024)
    })

    it('holds the client back while the upstream does not read', async () => {
      let passed = 0
      const counting = transformOf((chunk, done) => {
        passed += chunk.length
        done(null, chunk)
      })
      const { client, upstream } = await proxied({
        express,
        onRequest: (outgoing) => void outgoing.pipeThrough(counting),
      })
      client.write('POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 67108864\r\n\r\n')
      client.write(Buffer.alloc(64 * 1024 * 1024))
      ;(await upstream.connection()).socket.pause()
      await until(() => passed > 0)
      const other = await listen(http.createServer((_req, res) => void res.end()))
      expect(await standstill(other.url, () => passed)).to.be.below(48 * 1024 * 1024)
    })

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

describe('passthroughProxy changes the body of a request over HTTP/2', () => {
  afterEach(closeServers)

  async function connect(): Promise<{
    session: http2.ClientHttp2Session
    upstream: Awaited<ReturnType<typeof scriptedUpstream>>
  }> {
    const upstream = await scriptedUpstream()
    const proxy = passthroughProxy(upstream.url, {
      onRequest: (outgoing) => void outgoing.pipeThrough(upperCase()),
    })
    const server = http2.createServer((req, res) =>
      proxy(req as never, res as never, () => res.stream.close()),
    )
    const { port } = await listen(server as never)
    const session = http2.connect(`http://127.0.0.1:${port}`)
    session.on('error', () => {})
    return { session, upstream }
  }

  it('in chunks', async () => {
    const { session, upstream } = await connect()
    const stream = session.request({ ':path': '/', ':method': 'POST' }, { endStream: false })
    stream.on('error', () => {})
    stream.end('body')
    const connection = await upstream.connection()
    await connection.untilText('\r\n\r\n')
    expect((await connection.chunkedBody()).toString()).to.equal('BODY')
    session.destroy()
  })
})
