import { expect } from 'chai'
import express, { type ErrorRequestHandler, type RequestHandler } from 'express'
import getRawBody from 'raw-body'
import { bodyCache } from 'sluiceway/body-cache'
import { asChunk, lastChunk, RawClient } from '../support/clients/raw-client.js'
import { closeServers, serve } from '../support/servers/servers.js'

const told: ErrorRequestHandler = (error, _req, res, _next) => void res.status(error.status).json(error.type)

describe('docs/body-cache.md, moving over from raw-body', () => {
  afterEach(closeServers)

  async function post(
    handler: RequestHandler,
    type: string,
    body: Uint8Array<ArrayBuffer>,
  ): Promise<unknown> {
    const app = express().use(bodyCache({ limit: 1000, parseLimit: 100 }), handler, told)
    const { url } = await serve(app)
    const response = await fetch(url, { method: 'POST', body, headers: { 'Content-Type': type } })
    return [response.status, await response.json()]
  }

  it('gives the same text, by either, in any order', async () => {
    const latin1 = Buffer.from([0x63, 0x61, 0x66, 0xe9])
    const both: RequestHandler = async (req, res) => {
      const { 'content-length': length } = req.headers
      const first = await getRawBody(req, { length: length ?? null, limit: '1kb', encoding: 'latin1' })
      const own = await req.bodyCache.text()
      const bytes = await req.bodyCache.buffer()
      res.json([first, own, [...bytes], [...(await getRawBody(req))]])
    }
    expect(await post(both, 'text/plain; charset=iso-8859-1', latin1)).to.deep.equal([
      200,
      ['café', 'café', [...latin1], [...latin1]],
    ])
  })

  it('fails with the same 413 over each limit, and with the type of body-parser for an unknown charset', async () => {
    const own: RequestHandler = async (req, res) => void res.json(await req.bodyCache.text())
    const raw: RequestHandler = async (req, res) =>
      void res.json(await getRawBody(req, { limit: 100, encoding: true }))
    for (const handler of [own, raw]) {
      expect(await post(handler, 'text/plain', Buffer.alloc(101))).to.deep.equal([413, 'entity.too.large'])
      expect(await post(handler, 'text/plain', Buffer.alloc(1001))).to.deep.equal([413, 'entity.too.large'])
    }
    const unknown: RequestHandler = async (req, res) =>
      void res.json(await getRawBody(req, { encoding: 'x-unknown' }))
    const type = 'text/plain; charset=x-unknown'
    expect(await post(own, type, Buffer.from('a'))).to.deep.equal([415, 'charset.unsupported'])
    expect(await post(unknown, type, Buffer.from('a'))).to.deep.equal([415, 'encoding.unsupported'])
  })

  it('leaves the trailers of a body on the request', async () => {
    const handler: RequestHandler = async (req, res) => {
      const text = await req.bodyCache.text()
      res.json([text, req.trailers, req.rawTrailers])
    }
    const { port } = await serve(express().use(bodyCache(), handler))
    const client = await RawClient.connect(port)
    client.write('POST / HTTP/1.1\r\nHost: a\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n')
    client.write(asChunk(Buffer.from('abc')), lastChunk.replace(/\r\n$/, 'X-Sum: 7\r\n\r\n'))
    const { body } = await client.response()
    expect(JSON.parse(String(body))).to.deep.equal(['abc', { 'x-sum': '7' }, ['X-Sum', '7']])
    client.destroy()
  })
})
