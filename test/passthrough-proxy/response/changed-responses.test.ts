import { Transform } from 'node:stream'
import zlib from 'node:zlib'
import { expect } from 'chai'
import type { IncomingResponse } from 'sluiceway'
import { asChunk, lastChunk } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { proxied, request } from '../../support/servers/proxied.js'
import { answer } from '../../support/servers/scripted-upstream.js'
import { closeServers } from '../../support/servers/servers.js'
import { turns } from '../../support/time/mocked-clock.js'
import { happened } from '../../support/time/waiting.js'
import { transformOf, upperCase, upperCases, Watched, webUpperCase } from '../hook-bodies/transforms.js'

/** The head of an answer in chunks. */
const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'

const describedBody = [
  'ETag: "a"',
  'Accept-Ranges: bytes',
  'Digest: sha-256=x',
  'Content-Digest: sha-256=:x:',
  'Repr-Digest: sha-256=:x:',
  'Content-MD5: x',
  'Last-Modified: Sat, 28 Nov 2026 10:00:00 GMT',
  'X-Kept: 1',
  '',
].join('\r\n')

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy changes a response as it streams (${name})`, () => {
    afterEach(closeServers)

    for (const [kind, create] of upperCases) {
      it(`through ${kind}, chunk by chunk`, async () => {
        const { client, upstream } = await proxied({
          express,
          onResponse: (incoming) => void incoming.pipeThrough(create()),
        })
        client.request('GET', '/')
        const connection = await upstream.connection()
        connection.write(chunked)
        for (const word of ['one', 'two', 'three']) {
          connection.write(asChunk(word))
          await client.untilText(word.toUpperCase())
        }
        connection.write(lastChunk)
        expect(await client.untilText(lastChunk)).to.equal(`\r\n${lastChunk}`)
      })

      it(`through ${kind}, and keeps both connections for the next request`, async () => {
        const { exchange, upstream } = await proxied({
          express,
          onResponse: (incoming) => void incoming.pipeThrough(create()),
        })
        for (const text of ['first', '', 'third']) {
          const { response } = await exchange(request('GET', '/'), answer(text))
          expect(response.body.toString()).to.equal(text.toUpperCase())
        }
        expect(upstream.accepted).to.equal(1)
      })
    }

    it('through several transforms of both kinds, in their order', async () => {
      const append = (text: string) =>
        transformOf(
          (chunk, done) => done(null, chunk),
          (done) => done(null, text),
        )
      const { exchange } = await proxied({
        express,
        onResponse: (incoming) =>
          void incoming
            .decode()
            .pipeThrough(append('-one'))
            .pipeThrough(webUpperCase())
            .pipeThrough(append('-two'))
            .pipeThrough(new TextDecoderStream())
            .pipeThrough(new TextEncoderStream()),
      })
      const { response } = await exchange(request('GET', '/'), answer('zero'))
      expect(response.body.toString()).to.equal('ZERO-ONE-two')
    })

    it('through transforms of objects, whose strings become UTF-8', async () => {
      const { exchange } = await proxied({
        express,
        onResponse(incoming) {
          incoming
            .pipeThrough(
              new Transform({
                readableObjectMode: true,
                transform(chunk: Buffer, _encoding, done) {
                  for (const word of chunk.toString().split(' ')) this.push({ word })
                  done()
                },
              }),
            )
            .pipeThrough(
              new Transform({
                objectMode: true,
                transform: ({ word }: { word: string }, _encoding, done) => done(null, `<${word}é>`),
              }),
            )
        },
      })
      const { response } = await exchange(request('GET', '/'), answer('a b'))
      expect(response.body.toString()).to.equal('<aé><bé>')
    })

    it('takes the headers along that describe the bytes', async () => {
      const { exchange } = await proxied({
        express,
        onResponse: (incoming) => void incoming.pipeThrough(upperCase()),
      })
      const { response } = await exchange(request('GET', '/'), answer('body', describedBody))
      expect(Object.keys(response.headers)).to.have.members([
        'x-powered-by',
        'last-modified',
        'x-kept',
        'etag',
        'date',
        'connection',
        'keep-alive',
        'transfer-encoding',
      ])
      expect(response.headers['etag']).to.deep.equal(['W/"a"'])
    })

    it('leaves a weak ETag as it is, and the headers that the hook sets afterwards', async () => {
      const { exchange } = await proxied({
        express,
        onResponse(incoming) {
          incoming.pipeThrough(upperCase())
          incoming.headers.set('Content-Digest', 'of the hook')
          incoming.statusCode = 203
        },
      })
      const { response } = await exchange(request('GET', '/'), answer('body', 'ETag: W/"a"\r\n'))
      expect(response.status).to.equal(203)
      expect(response.headers).to.deep.include({ etag: ['W/"a"'], 'content-digest': ['of the hook'] })
    })

    for (const [what, sent, status] of [
      ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: "a"\r\nContent-Encoding: gzip\r\n\r\n', 200],
      ['204', 'HTTP/1.1 204 No Content\r\nETag: "a"\r\nContent-Encoding: gzip\r\n\r\n', 204],
      ['304', 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Encoding: gzip\r\n\r\n', 304],
    ] as const) {
      it(`changes only the head where no body follows: ${what}; its transform is destroyed unused`, async () => {
        const stage = new Watched()
        const { exchange } = await proxied({
          express,
          onResponse: (incoming) => void incoming.decode().pipeThrough(stage),
        })
        const { response } = await exchange(request(what === 'HEAD' ? 'HEAD' : 'GET', '/'), sent)
        expect(response.status).to.equal(status)
        expect(response.headers['etag']).to.deep.equal(['W/"a"'])
        expect(response.headers).not.to.have.any.keys('content-length', 'content-encoding')
        expect(stage.destroyed).to.equal(true)
        expect(stage.seen).to.equal('')
      })
    }

    for (const method of ['decode', 'pipeThrough'] as const) {
      it(`does not change a part of a document with ${method}, and says what to do`, async () => {
        const { exchange, errors } = await proxied({
          express,
          onResponse: (incoming) =>
            void (method === 'decode' ? incoming.decode() : incoming.pipeThrough(upperCase())),
        })
        const part =
          'HTTP/1.1 206 Partial Content\r\nContent-Encoding: gzip\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 2\r\n\r\nab'
        const { response } = await exchange(request('GET', '/', 'Range: bytes=0-1'), part)
        expect(response.status).to.equal(500)
        expect(String(errors[0]?.cause)).to.match(
          /^TypeError: \w+\(\) cannot change a part.*delete Range and If-Range/,
        )
      })
    }

    it('passes on a 206 that the hook leaves alone', async () => {
      const { exchange } = await proxied({ express, onResponse: ({ headers }) => headers.set('X-Seen', '1') })
      const part = 'HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 2\r\n\r\nab'
      const { response } = await exchange(request('GET', '/', 'Range: bytes=0-1'), part)
      expect(response).to.deep.include({ status: 206, body: Buffer.from('ab') })
      expect(response.headers['content-length']).to.deep.equal(['2'])
    })

    it('passes on the trailers, but no digest of other bytes', async () => {
      const { exchange } = await proxied({
        express,
        onResponse: (incoming) => void incoming.pipeThrough(upperCase()),
      })
      const { response } = await exchange(
        request('GET', '/'),
        'HTTP/1.1 200 OK\r\nTrailer: X-Sum, Content-Digest\r\nTransfer-Encoding: chunked\r\n\r\n' +
          '2\r\nab\r\n0\r\nX-Sum: 1\r\nContent-Digest: x\r\n\r\n',
      )
      expect(response.body.toString()).to.equal('AB')
      expect(response.headers['trailer']).to.deep.equal(['X-Sum'])
      expect(response.trailers).to.deep.equal(['X-Sum: 1'])
    })

    it('serves an HTTP/1.0 client without chunks', async () => {
      const { client, upstream } = await proxied({
        express,
        onResponse: (incoming) => void incoming.pipeThrough(upperCase()),
      })
      client.write('GET / HTTP/1.0\r\n\r\n')
      ;(await upstream.connection()).write(answer('body'))
      const { headers, body } = await client.response()
      expect(headers).not.to.have.any.keys('transfer-encoding', 'content-length')
      expect(body.toString()).to.equal('BODY')
    })

    it('takes a Content-Length that the hook knows of a changed body', async () => {
      const { exchange } = await proxied({
        express,
        onResponse(incoming) {
          incoming.pipeThrough(upperCase())
          incoming.headers.set('Content-Length', '4')
        },
      })
      const { response } = await exchange(request('GET', '/'), answer('body'))
      expect(response.headers['content-length']).to.deep.equal(['4'])
      expect(response.body.toString()).to.equal('BODY')
    })

    it('throws for a change that comes too late', async () => {
      let kept: IncomingResponse | undefined
      const { exchange } = await proxied({ express, onResponse: (incoming) => void (kept = incoming) })
      await exchange(request('GET', '/'))
      expect(() => kept?.pipeThrough(upperCase())).to.throw(TypeError, 'pipeThrough() comes too late')
      expect(() => kept?.decode()).to.throw(TypeError, 'decode() comes too late')
      expect(() => kept?.replace('x')).to.throw(TypeError, 'replace() comes too late')
      expect(() => kept?.buffer()).to.throw(TypeError, 'buffer() comes too late')
    })

    for (const [what, given, got] of [
      ['a function', () => {}, 'got a function'],
      ['null', null, 'got null'],
      ['an object', {}, 'got an object'],
      ['half a pair', { readable: new TransformStream().readable }, 'got an object'],
    ] as const) {
      it(`throws for a transform that is ${what}`, async () => {
        const { exchange, errors } = await proxied({
          express,
          onResponse: (incoming) => void incoming.pipeThrough(given as never),
        })
        expect((await exchange(request('GET', '/'))).response.status).to.equal(500)
        expect(String(errors[0]?.cause))
          .to.match(/^TypeError: pipeThrough takes a Duplex/)
          .and.include(got)
      })
    }

    it('refuses a transform that another body has, or that has ended', async () => {
      const shared = upperCase()
      const ended = upperCase().destroy()
      for (const [transform, message] of [
        [shared, undefined],
        [shared, 'this transform is in use: create one for each body'],
        [ended, 'this transform has ended before'],
      ] as const) {
        const { exchange, errors } = await proxied({
          express,
          onResponse: (incoming) => void incoming.pipeThrough(transform),
        })
        const { response } = await exchange(request('GET', '/'), answer('body'))
        expect(response.status).to.equal(message === undefined ? 200 : 500)
        expect(errors.map(({ cause }) => String(cause))).to.deep.equal(
          message === undefined ? [] : [`TypeError: ${message}`],
        )
      }
    })

    it('gives a transform the bytes as they come, compressed if the hook has not decoded them', async () => {
      const bytes: Buffer[] = []
      const { exchange } = await proxied({
        express,
        onResponse: (incoming) =>
          void incoming.pipeThrough(
            transformOf((chunk, done) => {
              bytes.push(chunk)
              done(null, chunk)
            }),
          ),
      })
      const packed = zlib.gzipSync('text')
      const head = `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${packed.length}\r\n\r\n`
      const { response } = await exchange(request('GET', '/'), Buffer.concat([Buffer.from(head), packed]))
      expect(response.headers['content-encoding']).to.deep.equal(['gzip'])
      expect(Buffer.concat(bytes).equals(packed)).to.equal(true)
      expect(response.body.equals(packed)).to.equal(true)
    })

    it('keeps the bytes of small chunks, whose memory is read into again', async () => {
      const slow = transformOf((chunk, done) => void turns(10).then(() => done(null, chunk)))
      const { client, upstream } = await proxied({
        express,
        onResponse: (incoming) => void incoming.pipeThrough(slow),
      })
      client.request('GET', '/')
      const connection = await upstream.connection()
      connection.socket.setNoDelay(true)
      connection.write(chunked)
      const words = Array.from({ length: 100 }, (_, n) => `word ${String(n).padStart(2, '0')} `)
      for (const word of words) {
        connection.write(asChunk(word))
        await turns(2)
      }
      connection.write(lastChunk)
      expect((await client.response()).body.toString()).to.equal(words.join(''))
    })

    it('destroys a transform when its answer is over', async () => {
      const stage = new Watched()
      const { exchange } = await proxied({
        express,
        onResponse: (incoming) => void incoming.pipeThrough(stage),
      })
      await exchange(request('GET', '/'), answer('body'))
      if (!stage.closed) await happened('the transform', stage, 'close')
      expect(stage.seen).to.equal('body')
    })
  })
}
