import { text } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'
import { expect } from 'chai'
import { bodyCache, maxBytes, passthroughProxy } from 'sluiceway'
import { expressVersions } from '../support/express-versions.js'
import { asChunk, lastChunk, RawClient } from '../support/raw-client.js'
import { answer, scriptedUpstream } from '../support/scripted-upstream.js'
import { closeServers, serve } from '../support/servers.js'

const CHUNKED = 'POST /in HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n'

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy behind the other middlewares on ${name}`, () => {
    afterEach(closeServers)

    it('sends the bytes as they came after three parsers have read them', async () => {
      const upstream = await scriptedUpstream()
      const seen: unknown[] = []
      const app = express().use(
        bodyCache(),
        express.json(),
        (req, _res, next) => next(void seen.push(req.body)),
        express.raw({ type: () => true }),
        (req, _res, next) => next(void seen.push(String(req.body))),
        (req, _res, next) => {
          void text(req).then((body) => next(void seen.push(body)))
        },
        passthroughProxy(upstream.url),
      )
      const client = await RawClient.connect((await serve(app)).port)
      const body = '{ "a" :  1 }\n'
      client.request('POST', '/in', { 'Content-Type': 'application/json' }, body)
      const connection = await upstream.connection()
      expect(await connection.untilText(body)).to.match(new RegExp(`content-length: ${body.length}\r\n`, 'i'))
      connection.write(answer('taken'))
      expect((await client.response()).body.toString()).to.equal('taken')
      expect(seen).to.deep.equal([{ a: 1 }, body, body])
      client.destroy()
    })

    it('sends a compressed body still compressed', async () => {
      const upstream = await scriptedUpstream()
      const app = express().use(bodyCache(), express.json(), passthroughProxy(upstream.url))
      const client = await RawClient.connect((await serve(app)).port)
      const bytes = gzipSync('{"a":1}')
      client.request('POST', '/in', { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' }, bytes)
      const connection = await upstream.connection()
      const head = await connection.untilText('\r\n\r\n')
      expect(head).to.match(/Content-Encoding: gzip/)
      await connection.until((received) => (received.length >= bytes.length ? true : undefined))
      expect(connection.pending.equals(bytes)).to.equal(true)
      connection.write(answer())
      expect((await client.response()).status).to.equal(200)
      client.destroy()
    })

    it('keeps a chunked body chunked, also when it was read before', async () => {
      const upstream = await scriptedUpstream()
      const app = express().use(
        bodyCache(),
        express.text({ type: () => true }),
        passthroughProxy(upstream.url),
      )
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

    it('answers 413 when a limit is passed in the middle of the upload, and the upstream sees no whole request', async () => {
      const upstream = await scriptedUpstream()
      const app = express().set('env', 'test').use(maxBytes(10), passthroughProxy(upstream.url))
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

    it('passes an upload within the limit on, each chunk when it comes', async () => {
      const upstream = await scriptedUpstream()
      const app = express().use(maxBytes('1kb'), bodyCache(), passthroughProxy(upstream.url))
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
