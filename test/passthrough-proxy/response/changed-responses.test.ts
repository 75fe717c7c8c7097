import { Transform } from 'node:stream'
import zlib from 'node:zlib'
import { expect } from 'chai'
import { asChunk, lastChunk } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { proxied, request } from '../../support/servers/proxied.js'
import { answer } from '../../support/servers/scripted-upstream.js'
import { closeServers } from '../../support/servers/servers.js'
import { turns } from '../../support/time/turns.js'
import { happened } from '../../support/time/waiting.js'
import { transformOf, upperCase, upperCases, Watched, webUpperCase } from '../hook-bodies/transforms.js'

/** The head of an answer in chunks. */
const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'

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
