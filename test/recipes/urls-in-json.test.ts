import zlib from 'node:zlib'
import { expect } from 'chai'
import { answer } from '../support/servers/scripted-upstream.js'
import { proxiedRecipe } from './proxied-recipe.js'

const json = 'Content-Type: application/hal+json; charset=utf-8\r\nConnection: close\r\n'

describe('recipe: URLs in JSON', () => {
  const recipe = proxiedRecipe(async () => import('../../.recipes/urls-in-json.js'), '/v1')

  for (const [coding, compress] of [
    ['', (text: string) => Buffer.from(text)],
    ['gzip', zlib.gzipSync],
  ] as const) {
    it(`rewrites only those of the upstream, at any depth${coding && ` (${coding})`}`, async () => {
      recipe.client.request('GET', '/api/orders', { Host: 'shop.example' })
      const connection = await recipe.upstream.connection()
      expect(await connection.untilText('\r\n\r\n')).to.match(/^GET \/v1\/orders /)
      const body = compress(
        JSON.stringify({
          self: `${recipe.upstream.url}/v1/orders?page=2`,
          items: [{ href: `${recipe.upstream.url}/v1/orders/7`, n: 7 }],
          others: [
            `${recipe.upstream.url}/v10/x`,
            `${recipe.upstream.url}/admin`,
            `see ${recipe.upstream.url}/v1/`,
            null,
          ],
        }),
      )
      const line = coding === '' ? '' : `Content-Encoding: ${coding}\r\n`
      connection.write(
        `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nETag: "a"\r\n${line}${json}\r\n`,
        body,
      )
      const response = await recipe.client.response()
      expect(JSON.parse(response.body.toString())).to.deep.equal({
        self: 'http://shop.example/api/orders?page=2',
        items: [{ href: 'http://shop.example/api/orders/7', n: 7 }],
        others: [
          `${recipe.upstream.url}/v10/x`,
          `${recipe.upstream.url}/admin`,
          `see ${recipe.upstream.url}/v1/`,
          null,
        ],
      })
      expect(response.headers['content-length']).to.deep.equal([String(response.body.length)])
      expect(response.headers).not.to.have.any.keys('etag', 'content-encoding')
    })
  }

  it('streams other types', async () => {
    recipe.client.request('GET', '/api/file')
    const connection = await recipe.upstream.connection()
    connection.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nfirst')
    await recipe.client.untilText('first')
    connection.write('last')
    await recipe.client.untilText('last')
  })

  it('answers 500 to invalid JSON, 502 to too much of it, and announces no length for a HEAD', async () => {
    recipe.client.request('GET', '/api/')
    ;(await recipe.upstream.connection()).write(answer('{"half":', json))
    expect((await recipe.client.response()).status).to.equal(500)
    recipe.client.request('GET', '/api/')
    const connection = await recipe.upstream.connection()
    connection.write(
      `HTTP/1.1 200 OK\r\nContent-Length: 6000000\r\n${json}\r\n`,
      Buffer.alloc(6_000_000, ' '),
    )
    expect((await recipe.client.response()).status).to.equal(502)
    recipe.client.request('HEAD', '/api/')
    ;(await recipe.upstream.connection()).write(`HTTP/1.1 200 OK\r\nContent-Length: 6\r\n${json}\r\n`)
    expect((await recipe.client.response({ head: true })).headers).to.not.have.property('content-length')
  })
})
