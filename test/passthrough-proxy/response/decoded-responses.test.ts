import zlib from 'node:zlib'
import { expect } from 'chai'
import type { IncomingResponse } from 'sluiceway'
import { asChunk, lastChunk } from '../../support/clients/raw-client.js'
import { withEntry } from '../../support/error-entry.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { proxied, type Proxied, request } from '../../support/servers/proxied.js'
import { closeServers } from '../../support/servers/servers.js'

const { zstdCompressSync } = zlib as { zstdCompressSync?: (bytes: Buffer) => Buffer }

type Compress = (bytes: Buffer) => Buffer

/** Content-Encoding, and what a server does for it. */
const codings: readonly (readonly [coding: string, compress: Compress])[] = [
  ['gzip', (bytes) => zlib.gzipSync(bytes)],
  ['x-gzip', (bytes) => zlib.gzipSync(bytes)],
  ['GZIP', (bytes) => zlib.gzipSync(bytes)],
  ['deflate', (bytes) => zlib.deflateSync(bytes)],
  ['br', (bytes) => zlib.brotliCompressSync(bytes)],
  ...(zstdCompressSync === undefined ? [] : [['zstd', zstdCompressSync] as const]),
]

const bareDeflate: Compress = (bytes) => zlib.deflateRawSync(bytes)

const text = Buffer.from('one two three, '.repeat(20_000))

function encoded(coding: string, body: Buffer): Buffer {
  const head = `HTTP/1.1 200 OK\r\nContent-Encoding: ${coding}\r\nContent-Length: ${body.length}\r\n\r\n`
  return Buffer.concat([Buffer.from(head), body])
}

const UNDECODABLE = withEntry(
  "passthroughProxy: decode() cannot decode the upstream's body",
  'ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE',
)

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy decodes a response (${name})`, () => {
    afterEach(closeServers)

    const decoding = (): Promise<Proxied> =>
      proxied({ express, onResponse: (incoming: IncomingResponse) => void incoming.decode() })

    for (const [coding, compress] of [...codings, ['deflate', bareDeflate] as const]) {
      const what = compress === bareDeflate ? 'deflate without its header' : coding

      it(`from ${what}, and the body of the next request`, async () => {
        const { exchange, upstream } = await decoding()
        for (const bytes of [text, Buffer.alloc(0), text.subarray(0, 1)]) {
          const { response } = await exchange(request('GET', '/'), encoded(coding, compress(bytes)))
          expect(response.headers).not.to.have.any.keys('content-encoding', 'content-length')
          expect(response.body.equals(bytes)).to.equal(true)
        }
        expect(upstream.accepted).to.equal(1)
      })

      it(`takes ${what} without a byte for an empty body`, async () => {
        const { exchange } = await decoding()
        const { response } = await exchange(request('GET', '/'), encoded(coding, Buffer.alloc(0)))
        expect(response).to.deep.include({ status: 200, body: Buffer.alloc(0) })
      })

      for (const [how, damage] of [
        ['cut off after a byte', (packed: Buffer) => packed.subarray(0, 1)],
        ['not compressed at all', () => Buffer.from('<html>this is not compressed</html>')],
      ] as const) {
        it(`answers 502 to ${what} that is ${how}`, async () => {
          const { exchange, errors } = await decoding()
          const body = damage(compress(Buffer.from('text')))
          const { response } = await exchange(request('GET', '/'), encoded(coding, body))
          expect(response.status).to.equal(502)
          expect(errors[0]).to.include({ code: 'ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE', message: UNDECODABLE })
          expect(errors[0]?.cause).to.be.an('error')
        })
      }

      for (const [how, damage] of [
        ['cut off before its end', (packed: Buffer) => packed.subarray(0, -2)],
        ['followed by other bytes', (packed: Buffer) => Buffer.concat([packed, Buffer.from('more bytes')])],
      ] as const) {
        it(`never makes ${what} look whole that is ${how}`, async () => {
          const { exchange, errors } = await decoding()
          const body = damage(compress(Buffer.from('text')))
          const outcome = await exchange(request('GET', '/'), encoded(coding, body)).then(
            ({ response }) => `status ${response.status}`,
            (error: Error) => error.message,
          )
          // What was decoded before may have been sent.
          expect(outcome).to.match(/^status 502$|^200, cut: /)
          expect(errors[0]).to.include({ code: 'ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE', message: UNDECODABLE })
        })
      }

      it(`cuts the client off where ${what} breaks in the middle`, async () => {
        const { client, upstream, errors } = await decoding()
        client.request('GET', '/')
        const connection = await upstream.connection()
        const packed = compress(Buffer.concat([text, randomText()]))
        connection.write(
          `HTTP/1.1 200 OK\r\nContent-Encoding: ${coding}\r\nTransfer-Encoding: chunked\r\n\r\n`,
        )
        connection.write(asChunk(packed.subarray(0, packed.length >> 1)))
        await client.untilText('one two three')
        connection.write(lastChunk)
        await client.closed()
        expect(client.pending.toString('latin1').endsWith(lastChunk)).to.equal(false)
        expect(errors[0]).to.include({ code: 'ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE' })
      })
    }

    for (const [coding, packed] of [
      ['gzip, br', zlib.brotliCompressSync(zlib.gzipSync(text))],
      ['deflate, gzip, br', zlib.brotliCompressSync(zlib.gzipSync(zlib.deflateSync(text)))],
      ['identity, gzip', zlib.gzipSync(text)],
      ['br\r\nContent-Encoding: gzip', zlib.gzipSync(zlib.brotliCompressSync(text))],
    ] as const) {
      it(`from several codings, the last one first: ${JSON.stringify(coding)}`, async () => {
        const { exchange } = await decoding()
        const { response } = await exchange(request('GET', '/'), encoded(coding, packed))
        expect(response.body.equals(text)).to.equal(true)
        expect(response.headers).not.to.have.property('content-encoding')
      })
    }

    for (const coding of ['', 'identity']) {
      it(`does nothing without a coding: ${JSON.stringify(coding)}`, async () => {
        const { exchange } = await decoding()
        const { response } = await exchange(request('GET', '/'), encoded(coding, text))
        expect(response.headers).to.have.property('content-length')
        expect(response.body.equals(text)).to.equal(true)
      })
    }

    for (const [coding, cause] of [
      ['compress', 'the content coding "compress"'],
      ['gzip, x', 'the content coding "x"'],
      ['__proto__', 'the content coding "__proto__"'],
      ['gzip, gzip, gzip, gzip', 'more than 3 content codings'],
      ...(zstdCompressSync === undefined
        ? ([['zstd', 'zstd, which Node supports from 22.15 on']] as const)
        : []),
    ] as const) {
      it(`answers 502 to ${coding}, which it cannot decode`, async () => {
        const { exchange, errors } = await decoding()
        const { response } = await exchange(request('GET', '/'), encoded(coding, text))
        expect(response.status).to.equal(502)
        expect(errors[0]).to.include({ message: UNDECODABLE })
        expect(errors[0]?.cause).to.include({ message: cause })
      })
    }

    if (zstdCompressSync !== undefined) {
      it('decodes the frames of zstd that come in one piece, one after the other', async () => {
        const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 7])
        const frames = [text, Buffer.alloc(0), Buffer.from('the end')].map(zstdCompressSync)
        const { exchange } = await decoding()
        const body = Buffer.concat([skippable, ...frames])
        const { response } = await exchange(request('GET', '/'), encoded('zstd', body))
        expect(response.body.toString()).to.equal(`${String(text)}the end`)
      })

      it('cuts the client off at a second frame of zstd that was cut off', async () => {
        const frame = zstdCompressSync(Buffer.from('short'))
        const { client, upstream, errors } = await decoding()
        const body = Buffer.concat([frame, frame.subarray(0, -3)])
        client.request('GET', '/')
        ;(await upstream.connection()).write(encoded('zstd', body))
        await client.closed()
        expect(client.pending.toString()).not.to.include(lastChunk)
        expect(errors[0]).to.include({ message: UNDECODABLE })
      })
    }

    it('decodes an event stream in gzip event by event', async () => {
      const { client, upstream } = await decoding()
      client.request('GET', '/')
      const connection = await upstream.connection()
      const gzip = zlib.createGzip()
      gzip.on('data', (chunk: Buffer) => connection.write(asChunk(chunk)))
      connection.write('HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n')
      for (const event of ['data: 1\n\n', 'data: 2\n\n']) {
        gzip.write(event)
        gzip.flush(zlib.constants.Z_SYNC_FLUSH)
        await client.untilText(event)
      }
      gzip.destroy()
    })

    it('decodes for buffer(), and the error is that of the upstream', async () => {
      const { exchange, errors } = await proxied({
        express,
        async onResponse(incoming) {
          const bytes = await incoming.decode().buffer()
          incoming.headers.set('X-Length', String(bytes.length))
        },
      })
      const good = await exchange(request('GET', '/'), encoded('gzip', zlib.gzipSync('text')))
      expect(good.response.headers['x-length']).to.deep.equal(['4'])
      const bad = await exchange(request('GET', '/'), encoded('gzip', Buffer.from('no gzip')))
      expect(bad.response.status).to.equal(502)
      expect(errors[0]).to.include({ message: UNDECODABLE })
    })

    it('leaves a hook that catches the error to send another body', async () => {
      const { exchange, errors } = await proxied({
        express,
        async onResponse(incoming) {
          await incoming
            .decode()
            .buffer()
            .catch(() => incoming.replace('damaged'))
        },
      })
      const { response } = await exchange(request('GET', '/'), encoded('gzip', Buffer.from('no gzip')))
      expect(response.body.toString()).to.equal('damaged')
      expect(errors).to.deep.equal([])
    })
  })
}

/** Text that no coding makes much shorter: half of its code is not the end of it. */
function randomText(): Buffer {
  return Buffer.from(Array.from({ length: 20_000 }, () => Math.random().toString(36)).join(''))
}
