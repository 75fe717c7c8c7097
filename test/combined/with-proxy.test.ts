import { buffer } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'
import busboy from 'busboy'
import { expect } from 'chai'
import { bodyCache, maxBytes, passthroughProxy } from 'sluiceway'
import { asChunk, lastChunk, RawClient } from '../support/clients/raw-client.js'
import { expressFor, type Express } from '../support/express/express-versions.js'
import { hosts, type Handler } from '../support/express/hosts.js'
import { answer, scriptedUpstream } from '../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../support/servers/servers.js'

const CHUNKED = 'POST /in HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n'

/** One part, which is a file. */
const multipart = Buffer.from(
  '--edge\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n' +
    'Content-Type: application/octet-stream\r\n\r\n\0\r\n--edg\u{ff}\r\n--edge--\r\n',
  'latin1',
)

interface Body {
  readonly type: string
  readonly encoding?: string
  readonly bytes: Buffer
  /** The parser that such bodies are for. */
  readonly parser: Handler
}

const json = Buffer.from('{ "a" :  1 }\n')
function bodiesOf(express: Express): Record<string, Body> {
  return {
    JSON: { type: 'application/json', bytes: json, parser: parse(express.json(), { a: 1 }) },
    'gzipped JSON': {
      type: 'application/json',
      encoding: 'gzip',
      bytes: gzipSync(json),
      parser: parse(express.json(), { a: 1 }),
    },
    'a form': {
      type: 'application/x-www-form-urlencoded',
      bytes: Buffer.from('b=%20&a=1&&a=2'),
      parser: parse(express.urlencoded({ extended: false }), { a: ['1', '2'], b: ' ' }),
    },
    multipart: { type: 'multipart/form-data; boundary=edge', bytes: multipart, parser: parseMultipart },
  }
}

/** Runs a parser, and checks its result against the body. */
function parse(parser: Handler, expected: unknown): Handler {
  return (req, res, next) =>
    void parser(req, res, (error) => {
      expect((req as { body?: unknown }).body).to.deep.equal(expected)
      next(error)
    })
}

function parseMultipart(...[req, _res, next]: Parameters<Handler>): void {
  const files: Promise<Buffer>[] = []
  const parser = busboy({ headers: req.headers }).on('file', (_name, file) => files.push(buffer(file)))
  parser.on('close', () => {
    void Promise.all(files).then(([file]) => {
      expect(file?.toString('latin1')).to.equal('\0\r\n--edg\u{ff}')
      return next()
    })
  })
  req.pipe(parser)
}

for (const { name, mount } of hosts) {
  const express = expressFor(name)

  describe(`passthroughProxy behind the other middlewares on ${name}`, () => {
    afterEach(closeServers)

    for (const [what, { type, encoding, bytes, parser }] of Object.entries(bodiesOf(express))) {
      for (const framing of ['Content-Length', 'chunks'] as const) {
        it(`sends ${what} with ${framing} as it came, after three parsers have read it`, async () => {
          const upstream = await scriptedUpstream()
          const raw: Buffer[] = []
          const app = mount(
            bodyCache(),
            parser,
            express.raw({ type: () => true }),
            (req, _res, next) => void buffer(req).then((body) => next(void raw.push(body))),
            passthroughProxy(upstream.url),
          )
          const client = await RawClient.connect((await serve(app)).port)
          const headers = { 'Content-Type': type, ...(encoding && { 'Content-Encoding': encoding }) }
          if (framing === 'Content-Length') client.request('POST', '/in', headers, bytes)
          else {
            client.request('POST', '/in', { ...headers, 'Transfer-Encoding': 'chunked' })
            client.write(asChunk(bytes.subarray(0, 7)), asChunk(bytes.subarray(7)), lastChunk)
          }
          const connection = await upstream.connection()
          const head = await connection.untilText('\r\n\r\n')
          expect(head).to.contain(`Content-Type: ${type}\r\n`)
          if (encoding) expect(head).to.contain(`Content-Encoding: ${encoding}\r\n`)
          expect(raw[0]?.equals(bytes)).to.equal(true)
          const body =
            framing === 'chunks'
              ? await connection.chunkedBody()
              : await connection.until((received) => (received.length >= bytes.length ? received : undefined))
          expect(body.equals(bytes)).to.equal(true)
          connection.write(answer('taken'))
          expect((await client.response()).body.toString()).to.equal('taken')
          client.destroy()
        })
      }
    }

    it('keeps a chunked body chunked, even if it was read before', async () => {
      const upstream = await scriptedUpstream()
      const app = mount(bodyCache(), express.text({ type: () => true }), passthroughProxy(upstream.url))
      const client = await RawClient.connect((await serve(app)).port)
      client.write(`${CHUNKED}\r\n`)
      client.write(asChunk('one '), asChunk('two'), lastChunk)
      const connection = await upstream.connection()
      expect(await connection.untilText('\r\n\r\n')).to.match(/transfer-encoding: chunked/i)
      await connection.untilText('0\r\n\r\n')
      connection.write(answer())
      expect((await client.response()).status).to.equal(200)
      client.destroy()
    })

    const limits = {
      maxBytes: () => [maxBytes(10)],
      'maxBytes before bodyCache': () => [maxBytes(10), bodyCache()],
      'maxBytes after bodyCache': () => [bodyCache(), maxBytes(10)],
      'the limit of bodyCache': () => [bodyCache({ limit: 10 })],
    }
    for (const [limit, limiters] of Object.entries(limits)) {
      it(`answers 413 when the upload exceeds ${limit} in the middle, and the upstream gets no whole request`, async () => {
        const upstream = await scriptedUpstream()
        const app = mount(...limiters(), passthroughProxy(upstream.url))
        const client = await RawClient.connect((await serve(app)).port)
        client.write(`${CHUNKED}\r\n`)
        client.write(asChunk('01234'))
        const connection = await upstream.connection()
        await connection.untilText('01234')
        client.write(asChunk('56789'), asChunk('x'))
        const { status, headers } = await client.response()
        expect([status, headers['connection']]).to.deep.equal([413, ['close']])
        await connection.closed()
        expect(connection.pending.toString()).to.not.include('0\r\n\r\n')
      })

      it(`answers 413 when a Content-Length exceeds ${limit}, and the upstream gets no request`, async () => {
        const upstream = await scriptedUpstream()
        const app = mount(...limiters(), passthroughProxy(upstream.url))
        const client = await RawClient.connect((await serve(app)).port)
        client.write('POST /in HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n01234')
        expect((await client.response()).status).to.equal(413)
        expect(upstream.accepted).to.equal(0)
      })
    }

    it('passes on an upload within the limit, each chunk as it comes', async () => {
      const upstream = await scriptedUpstream()
      const app = mount(maxBytes('1kb'), bodyCache(), passthroughProxy(upstream.url))
      const client = await RawClient.connect((await serve(app)).port)
      client.write(`${CHUNKED}\r\n`)
      client.write(asChunk('one '))
      const connection = await upstream.connection()
      await connection.untilText('one ')
      client.write(asChunk('two'), lastChunk)
      await connection.untilText('two')
      connection.write(answer())
      expect((await client.response()).status).to.equal(200)
      client.destroy()
    })
  })
}
