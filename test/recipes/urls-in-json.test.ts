import type { RequestListener } from 'node:http'
import zlib from 'node:zlib'

import { expect } from 'chai'
import type { Express } from 'express'

import { RawClient } from '../support/raw-client.js'
import { answer, scriptedUpstream, type ScriptedUpstream } from '../support/scripted-upstream.js'
import { closeServers, serve } from '../support/servers.js'

const json = 'Content-Type: application/hal+json; charset=utf-8\r\nConnection: close\r\n'

describe('recipe: URLs in JSON', () => {
  let app: Express
  let upstream: ScriptedUpstream
  let client: RawClient

  before(async () => {
    upstream = await scriptedUpstream()
    process.env['UPSTREAM'] = `${upstream.url}/v1`
    ;({ app } = await import('../../.recipes/urls-in-json.js'))
    app.set('env', 'test')
    delete process.env['UPSTREAM']
  })
  beforeEach(async () => {
    client = await RawClient.connect((await serve(app as RequestListener)).port)
  })
  afterEach(() => client.destroy())
  after(closeServers)

  for (const [coding, compress] of [
    ['', (text: string) => Buffer.from(text)],
    ['gzip', zlib.gzipSync],
  ] as const) {
    it(`rewrites those of the upstream, at any depth, and no others${coding && ` (${coding})`}`, async () => {
      client.request('GET', '/api/orders', { Host: 'shop.example' })
      const connection = await upstream.connection()
      expect(await connection.untilText('\r\n\r\n')).to.match(/^GET \/v1\/orders /)
      const body = compress(
        JSON.stringify({
          self: `${upstream.url}/v1/orders?page=2`,
          items: [{ href: `${upstream.url}/v1/orders/7`, n: 7 }],
          others: [`${upstream.url}/v10/x`, `${upstream.url}/admin`, `see ${upstream.url}/v1/`, null],
        }),
      )
      const line = coding === '' ? '' : `Content-Encoding: ${coding}\r\n`
      connection.write(
        `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nETag: "a"\r\n${line}${json}\r\n`,
        body,
      )
      const response = await client.response()
      expect(JSON.parse(response.body.toString())).to.deep.equal({
        self: 'http://shop.example/api/orders?page=2',
        items: [{ href: 'http://shop.example/api/orders/7', n: 7 }],
        others: [`${upstream.url}/v10/x`, `${upstream.url}/admin`, `see ${upstream.url}/v1/`, null],
      })
      expect(response.headers['content-length']).to.deep.equal([String(response.body.length)])
      expect(response.headers).not.to.have.any.keys('etag', 'content-encoding')
    })
  }

  it('streams what is not JSON', async () => {
    client.request('GET', '/api/file')
    const connection = await upstream.connection()
    connection.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nfirst')
    await client.untilText('first')
    connection.write('last')
    await client.untilText('last')
  })

  it('answers 500 to JSON that is none, 502 to too much of it, and passes on a HEAD', async () => {
    client.request('GET', '/api/')
    ;(await upstream.connection()).write(answer('{"half":', json))
    expect((await client.response()).status).to.equal(500)
    client.request('GET', '/api/')
    const connection = await upstream.connection()
    connection.write(
      `HTTP/1.1 200 OK\r\nContent-Length: 6000000\r\n${json}\r\n`,
      Buffer.alloc(6_000_000, ' '),
    )
    expect((await client.response()).status).to.equal(502)
    client.request('HEAD', '/api/')
    ;(await upstream.connection()).write(`HTTP/1.1 200 OK\r\nContent-Length: 6\r\n${json}\r\n`)
    expect((await client.response({ head: true })).headers['content-length']).to.deep.equal(['6'])
  })
})
