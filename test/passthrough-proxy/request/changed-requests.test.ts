import http from 'node:http'
import http2 from 'node:http2'
import { Readable } from 'node:stream'
import { expect } from 'chai'
import { passthroughProxy } from 'sluiceway'
import { asChunk, lastChunk } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { proxied } from '../../support/servers/proxied.js'
import { answer, scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, listen } from '../../support/servers/servers.js'
import { standstill } from '../../support/time/standstill.js'
import { until } from '../../support/time/until.js'
import { needsOwnClient } from '../../support/undici/transports.js'
import { transformOf, upperCase, upperCases, Watched, webUpperCase } from '../hook-bodies/transforms.js'

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
