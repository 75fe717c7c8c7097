import { createHook } from 'node:async_hooks'
import type { IncomingMessage } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { deflateRawSync, gzipSync } from 'node:zlib'
import { expect } from 'chai'
import { bodyCache } from 'sluiceway/body-cache'
import { maxBytes } from 'sluiceway/max-bytes'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { collectedBytes, peakBytes } from '../../support/process/memory.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'
import { exchange } from '../exchange.js'
import { codeOf, found } from '../reading.js'
import { codings, hasZstd } from './codings.js'

const readText = (req: IncomingMessage): Promise<string> => req.bodyCache.text()
const damaged = {
  status: 400,
  type: 'entity.parse.failed',
  code: 'ERR_SLUICEWAY_BODY_MALFORMED',
  message: 'request body could not be decompressed',
}
const tooLarge = { status: 413, type: 'entity.too.large', code: 'ERR_SLUICEWAY_BODY_TOO_LARGE' }
const json = '{"a":"grüße"}'

for (const { name, token, encode, bomb } of codings) {
  describe(`req.bodyCache, with a body in ${name}`, () => {
    const headers = { 'content-encoding': token }
    afterEach(closeServers)

    it('decodes it for accessors, and leaves bytes and headers unchanged for every other reader', async () => {
      const bytes = encode(json)
      const read = async (req: IncomingMessage): Promise<unknown> => [
        await req.bodyCache.text(),
        await req.bodyCache.json(),
        await (await req.bodyCache.blob()).text(),
        (await req.bodyCache.buffer()).equals(bytes),
        (await buffer(req.bodyCache.stream())).equals(bytes),
        (await buffer(req)).equals(bytes),
        req.headers['content-encoding'],
        req.headers['content-length'],
      ]
      const length = String(bytes.length)
      expect(await found(read, bytes, headers)).to.deep.equal([
        json,
        JSON.parse(json),
        json,
        true,
        true,
        true,
        token,
        length,
      ])
    })

    it('decodes forms too', async () => {
      const type = 'application/x-www-form-urlencoded'
      const readBoth = async (req: IncomingMessage): Promise<unknown> => [
        await req.bodyCache.urlencoded(),
        [...(await req.bodyCache.formData())],
      ]
      const entries = await found(readBoth, encode('a=1'), { ...headers, 'content-type': type })
      expect(entries).to.deep.equal([{ a: '1' }, [['a', '1']]])
    })

    it('decodes it only once for all accessors', async () => {
      let started = 0
      const hook = createHook({
        init: (_id, type) => {
          if (type === 'ZLIB') started += 1
        },
      })
      const read = async ({ bodyCache: body }: IncomingMessage): Promise<unknown> => {
        hook.enable()
        await Promise.all([body.text(), body.json(), body.blob()])
        await body.text()
        hook.disable()
        return started
      }
      expect(await found(read, encode(json), headers)).to.equal(1)
    })

    it('accepts exactly parseLimit bytes, and answers 413 to more', async () => {
      const bytes = encode('x'.repeat(1000))
      expect(await found(readText, bytes, headers, { parseLimit: 1000 })).to.have.length(1000)
      expect(await found(readText, bytes, headers, { parseLimit: 999 })).to.include({
        ...tooLarge,
        limit: 999,
      })
      for (const some of [bytes, encode('x')])
        expect(await found(readText, some, headers, { parseLimit: 0 })).to.include({
          ...tooLarge,
          limit: 0,
        })
      expect(await found(readText, bytes, headers, { parseLimit: Infinity })).to.have.length(1000)
    })

    it('stops decoding a gigabyte as soon as parseLimit is passed', async () => {
      const bytes = await bomb()
      expect(bytes.length).to.be.below(2 * 1024 * 1024)
      const peak = await peakBytes(async () => {
        expect(await found(readText, bytes, headers, { parseLimit: '1mb' })).to.include(tooLarge)
      })
      expect(peak).to.be.below(32 * 1024 * 1024)
    })

    for (const [title, damage] of [
      ['is cut short', (bytes: Buffer) => bytes.subarray(0, -1)],
      ['is cut in half', (bytes: Buffer) => bytes.subarray(0, bytes.length >> 1)],
      ['has a byte after its end', (bytes: Buffer) => Buffer.concat([bytes, Buffer.from('x')])],
      ['has zeros after its end', (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(10)])],
      ['is something else', () => Buffer.from('nothing of that kind')],
    ] as const) {
      it(`refuses data that ${title}`, async () => {
        for (const whole of [encode(json), encode(Buffer.alloc(100_000, json))]) {
          expect(await found(readText, damage(whole), headers)).to.deep.include(damaged)
        }
      })
    }

    it('accepts an empty body as empty', async () => {
      expect(await found(readText, '', headers)).to.equal('')
    })
  })
}

describe('req.bodyCache, with Content-Encoding', () => {
  before(() => {
    if (!hasZstd) console.log(`      skipped: zstd, which Node ${process.versions.node} does not have`)
  })
  afterEach(closeServers)

  for (const coding of ['gzip, gzip', 'gzip, identity', 'gzip,br', 'compress', '__proto__', 'gzip;q=1']) {
    it(`refuses ${coding} without waiting for the body`, async () => {
      const { req, client } = await exchange([`Content-Encoding: ${coding}`, 'Content-Length: 9'])
      const { bodyCache: body } = req
      for (const read of [() => body.text(), () => body.json(), () => body.formData(), () => body.blob()]) {
        const error = await read().then(
          () => undefined,
          (failure: unknown) => failure,
        )
        expect(error).to.include({
          status: 415,
          type: 'encoding.unsupported',
          code: 'ERR_SLUICEWAY_ENCODING_UNSUPPORTED',
        })
      }
      client.destroy()
    })
  }

  it('refuses two Content-Encoding lines with one coding each', async () => {
    const { req, client } = await exchange([
      'Content-Encoding: gzip',
      'Content-Encoding: gzip',
      'Content-Length: 9',
    ])
    const error = await req.bodyCache.text().catch((failure: unknown) => failure)
    expect(error).to.include({ status: 415, message: 'unsupported content encoding "gzip, gzip"' })
    client.destroy()
  })

  it('refuses, on a route with a smaller limit, a body that it has already decoded', async () => {
    const [limit, late] = [maxBytes(5), deferred<unknown>()]
    const read: Handler = async (req, res, next) => {
      expect(await readText(req)).to.equal(json)
      const error = await new Promise((resolve) => {
        limit(req, res, resolve)
      })
      late.resolve([await codeOf(readText(req)), req.bodyCache.complete])
      next(error)
    }
    const { url } = await serve(hosts[0]!.mount(bodyCache(), read))
    const headers = { 'content-encoding': 'gzip' }
    const { status } = await fetch(url, { method: 'POST', body: gzipSync(json), headers })
    expect([status, await late.promise]).to.deep.equal([413, ['ERR_SLUICEWAY_BODY_TOO_LARGE', false]])
  })

  it('takes bare deflate data for what it is if it only half looks like zlib', async () => {
    const stored = (text: string): Buffer =>
      Buffer.concat([Buffer.from([8, text.length, 0, ~text.length, 0xff]), Buffer.from(text)])
    for (const [data, text] of [
      // A multiple of 31, but of no method that zlib knows.
      [deflateRawSync('58'), '58'],
      // The method of zlib, but no multiple of 31: an uncompressed block with a bit of padding.
      [Buffer.concat([stored('hello'), deflateRawSync('!')]), 'hello!'],
    ] as const) {
      expect(await found(readText, data, { 'content-encoding': 'deflate' })).to.equal(text)
    }
  })

  it('refuses a single byte of deflate as damaged', async () => {
    expect(await found(readText, Buffer.of(0x78), { 'content-encoding': 'deflate' })).to.deep.include(damaged)
  })

  it('accepts the old name of gzip, in upper or lower case', async () => {
    expect(await found(readText, gzipSync(json), { 'content-encoding': 'X-GZip' })).to.equal(json)
  })

  it('releases the decoded bytes when the response has ended', async () => {
    const requests: IncomingMessage[] = []
    const keep: Handler = async (req, res) => {
      requests.push(req)
      res.end((await req.bodyCache.blob()).type)
    }
    const { url } = await serve(hosts[0]!.mount(bodyCache({ parseLimit: '4mb' }), keep))
    const body = gzipSync(Buffer.alloc(4 * 1024 * 1024))
    const before = await collectedBytes()
    for (let round = 0; round < 8; round++)
      await (await fetch(url, { method: 'POST', body, headers: { 'content-encoding': 'gzip' } })).text()
    expect(requests).to.have.length(8)
    expect((await collectedBytes()) - before).to.be.below(8 * 1024 * 1024)
  })

  for (const coding of ['identity', 'Identity', '']) {
    it(`reads a body with Content-Encoding "${coding}" undecoded`, async () => {
      expect(await found(readText, 'abc', { 'content-encoding': coding })).to.equal('abc')
    })
  }
})
