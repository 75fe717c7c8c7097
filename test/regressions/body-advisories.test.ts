// What body parsers, body limits and their kin were found vulnerable to, replayed against maxBytes and bodyCache. Each
// test is named after its advisory. What is about the proxy's bodies too is in proxy-advisories.test.ts.
import type { IncomingMessage } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'

import { expect } from 'chai'
import express from 'express'
import { bodyCache, maxBytes, passthroughProxy, type BodyCacheOptions } from 'sluiceway'

import { deferred } from '../support/deferred.js'
import { type Handler, hosts } from '../support/hosts.js'
import { asChunk, lastChunk, RawClient } from '../support/raw-client.js'
import { scriptedUpstream } from '../support/scripted-upstream.js'
import { closeServers, serve } from '../support/servers.js'

const { mount } = hosts[0]!

/** A client of a server with these handlers; the last one answers with what `read` gives. */
async function reading(
  read: (req: IncomingMessage) => Promise<unknown>,
  ...before: readonly Handler[]
): Promise<RawClient> {
  const last: Handler = (req, res, next) => {
    read(req).then((value) => res.end(JSON.stringify(value)), next)
  }
  return RawClient.connect((await serve(mount(...before, last))).port)
}

/** The status of one POST, whose body a bodyCache accessor reads, and what it gave. */
async function posted(
  read: (req: IncomingMessage) => Promise<unknown>,
  body: string | Buffer,
  headers: Record<string, string> = {},
  options: BodyCacheOptions = {},
): Promise<{ status: number; text: string }> {
  const client = await reading(read, bodyCache(options))
  client.request('POST', '/', headers, body)
  const response = await client.response()
  client.destroy()
  return { status: response.status, text: response.body.toString() }
}

describe('advisories about bodies', () => {
  afterEach(closeServers)

  for (const limit of ['banana', '10x', '', Number.NaN, null, -1, 1.5, [], {}, '1e3', ' 1mb ']) {
    it(`GHSA-v422-hmwv-36x6: the limit ${JSON.stringify(limit)} throws, and is never no limit`, () => {
      expect(() => maxBytes(limit as never)).to.throw(/limit|options/)
      expect(() => bodyCache({ limit: limit as never })).to.throw(/limit/)
      expect(() => bodyCache({ parseLimit: limit as never })).to.throw(/parseLimit/)
    })
  }

  for (const [what, form] of [
    ['parameters', 'a=1&'.repeat(250_000)],
    ['nesting', `a${'[b]'.repeat(300_000)}=1`],
    ['unclosed brackets', `a${'['.repeat(300_000)}=1`],
  ] as const) {
    it(`GHSA-wqch-xfxh-vrr4, CVE-2024-45590: a form of much ${what} is refused, or read, before it costs much`, async function () {
      this.timeout(2000)
      const { status } = await posted((req) => req.bodyCache.urlencoded(), form)
      expect(status).to.be.oneOf(what === 'unclosed brackets' ? [200, 400] : [400])
    })
  }

  it('CVE-2022-24999, CVE-2025-15284: a form changes no prototype and makes no huge array', async () => {
    const read = async (req: IncomingMessage): Promise<unknown> => {
      const form = await req.bodyCache.urlencoded()
      return [({} as { polluted?: unknown }).polluted ?? 'clean', Object.keys(form)]
    }
    const poison = '__proto__[polluted]=1&a[__proto__][polluted]=1'
    expect(await posted(read, poison)).to.have.property('status', 400)
    const { text } = await posted(read, poison, {}, { prototypePoisoning: 'ignore' })
    expect(JSON.parse(text)).to.have.property('0', 'clean')
    const many = await posted((req) => req.bodyCache.urlencoded(), 'a[]=1&'.repeat(1001))
    expect(many.status).to.equal(400)
    const sparse = await posted((req) => req.bodyCache.urlencoded(), 'a[99999999]=1')
    expect(JSON.parse(sparse.text)).to.deep.equal({ a: { 99999999: '1' } })
  })

  for (const json of [
    '{"__proto__":{"a":1}}',
    '{"a":[{"__proto__":1}]}',
    '{"constructor":{"prototype":{"a":1}}}',
  ]) {
    it(`cojs/co-body#87, expressjs/body-parser#347: ${json} is refused`, async () => {
      expect(await posted((req) => req.bodyCache.json(), json)).to.include({ status: 400 })
    })
  }

  for (const [advisory, part] of [
    ['CVE-2022-24434', 'Content-Disposition: form-data; name="a"\r\n\0bad\r\n\r\n1'],
    ['CVE-2025-47935, CVE-2025-7338', 'Content-Disposition: form-data; name="a'],
    ['CVE-2025-48997', 'Content-Disposition: form-data; name=""; filename=""\r\n\r\n1'],
    ['CVE-2026-5079', `Content-Disposition: form-data; name="a${'[b]'.repeat(10_000)}"\r\n\r\n1`],
    ['CVE-2025-47944', ''],
  ] as const) {
    it(`${advisory}: a malformed multipart body is an answer, never an exception`, async () => {
      const headers = { 'Content-Type': 'multipart/form-data; boundary=x' }
      const read = async (req: IncomingMessage): Promise<unknown> => [
        ...(await req.bodyCache.formData()).keys(),
      ]
      for (const body of [`--x\r\n${part}`, `--x\r\n${part}\r\n--x--\r\n`, `${part}--x--`]) {
        expect((await posted(read, body, headers)).status).to.be.oneOf([200, 400])
      }
    })
  }

  for (const sent of [
    '',
    '--x\r\n',
    '--x\r\nContent-Disposition: form-data; name="a"; filename="f"\r\n\r\nhalf',
  ]) {
    it(`CVE-2026-2359, CVE-2026-3304, CVE-2026-3520: a client that leaves after ${sent.length} bytes of a form ends its reader`, async () => {
      const failed = deferred<unknown>()
      const client = await reading(async (req) => {
        await req.bodyCache.formData().catch(failed.resolve)
      }, bodyCache())
      client.write(
        `POST / HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 999\r\n\r\n${sent}`,
      )
      client.socket.end()
      expect(await failed.promise).to.include({ code: 'ERR_SLUICEWAY_BODY_ABORTED', status: 400 })
    })
  }

  it('CVE-2025-32996, CVE-2025-32997: a truncated body is never read as a whole one', async () => {
    const read = async (req: IncomingMessage): Promise<unknown> => (await buffer(req)).length
    const client = await reading(read, maxBytes(10), bodyCache())
    client.request('POST', '/', {}, ['01234', '56789', 'x'])
    expect((await client.response()).status).to.equal(413)
    client.destroy()
  })

  it('Next.js: a body over the limit is not delivered as if it were whole, and no proxy completes it', async () => {
    const upstream = await scriptedUpstream()
    const app = express()
      .set('env', 'test')
      .use(bodyCache({ limit: 10 }), passthroughProxy(upstream.url))
    const client = await RawClient.connect((await serve(app)).port)
    client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n', asChunk('01234'))
    const connection = await upstream.connection()
    await connection.untilText('01234')
    client.write(asChunk('56789x'), lastChunk)
    expect((await client.response()).status).to.equal(413)
    await connection.closed()
    expect(connection.pending.toString()).not.to.contain('0\r\n\r\n')
    client.destroy()
  })

  for (const framing of [
    'Transfer-Encoding: chunked',
    'Transfer-Encoding: ChunKed',
    'transfer-encoding:CHUNKED',
  ]) {
    it(`CVE-2025-59139, CVE-2026-23527: "${framing}" is a body, and its bytes are counted`, async () => {
      const client = await reading(async (req) => (await buffer(req)).length, maxBytes(10))
      client.write(`POST / HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n`, asChunk('0123456789x'), lastChunk)
      expect((await client.response()).status).to.equal(413)
      client.destroy()
    })
  }

  it('CVE-2025-59139: a Content-Length beside Transfer-Encoding is refused, not believed', async () => {
    const client = await reading(async (req) => (await buffer(req)).length, maxBytes(10))
    client.write(
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      asChunk('x'.repeat(100)),
      lastChunk,
    )
    expect((await client.response()).status).to.equal(400)
    client.destroy()
  })

  for (const type of [
    'application/json',
    'application/json\t',
    ' Application/JSON ;',
    'a/b/c',
    '',
    'text/plain, application/json',
  ]) {
    it(`CVE-2025-32442, CVE-2026-25223, GHSA-573f-x89g-hqp9: the Content-Type ${JSON.stringify(type)} changes no limit`, async () => {
      const { status } = await posted(
        (req) => req.bodyCache.text(),
        '0123456789x',
        { 'Content-Type': type },
        { limit: 10 },
      )
      expect(status).to.equal(413)
    })
  }

  for (const [coding, bomb] of [
    ['gzip', gzipSync(Buffer.alloc(1_000_000))],
    ['deflate', deflateSync(Buffer.alloc(1_000_000))],
    ['br', brotliCompressSync(Buffer.alloc(1_000_000))],
  ] as const) {
    it(`CVE-2026-42587: the decompressed size is limited for ${coding} too`, async () => {
      const headers = { 'Content-Encoding': coding }
      const { status } = await posted(
        (req) => req.bodyCache.buffer().then(() => req.bodyCache.text()),
        bomb,
        headers,
        {
          parseLimit: '100kb',
        },
      )
      expect(status).to.equal(413)
    })
  }

  it('CVE-2026-22036: a chain of content codings is refused', async () => {
    const body = gzipSync(gzipSync('x'))
    for (const coding of ['gzip, gzip', Array.from({ length: 500 }, () => 'gzip').join(',')]) {
      const { status } = await posted((req) => req.bodyCache.text(), body, { 'Content-Encoding': coding })
      expect(status).to.equal(415)
    }
  })

  it('raw-body 4: a reader of a request that is destroyed without an error settles', async () => {
    const settled = deferred<unknown>()
    const client = await reading(async (req) => {
      const read = req.bodyCache.text().then(
        () => 'read',
        ({ code }) => code,
      )
      req.socket.destroy()
      settled.resolve(await read)
    }, bodyCache())
    client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf')
    expect(await settled.promise).to.equal('ERR_SLUICEWAY_BODY_ABORTED')
  })

  it('raw-body 4: the first byte beyond the limit fails, before the rest has come', async () => {
    const client = await reading(async (req) => (await buffer(req)).length, maxBytes(10))
    client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n', asChunk('0123456789x'))
    expect((await client.response()).status).to.equal(413)
    client.destroy()
  })

  for (const [what, body] of [
    ['behind a body over its limit', `${'x'.repeat(20)}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`],
    ['in a chunk extension', '5;a\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'],
  ] as const) {
    it(`CVE-2025-55315: a request ${what} is none`, async () => {
      const asked: (string | undefined)[] = []
      const note: Handler = (req, _res, next) => {
        asked.push(req.url)
        next()
      }
      const client = await reading(async (req) => (await buffer(req)).length, note, maxBytes(10))
      const framing = body.startsWith('5;') ? 'Transfer-Encoding: chunked' : 'Content-Length: 20'
      client.write(`POST / HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n${body}`)
      await client.closed()
      expect(asked).to.not.include('/smuggled')
      client.destroy()
    })
  }
})
