import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import zlib from 'node:zlib'
import { expect } from 'chai'
import { asChunk, lastChunk } from '../support/clients/raw-client.js'
import { answer } from '../support/servers/scripted-upstream.js'
import { proxiedRecipe } from './proxied-recipe.js'

const script = '<script src="/banner.js" defer></script>'
const html = 'Content-Type: text/html; charset=utf-8\r\nConnection: close\r\n'

describe('recipe: a script in every page', () => {
  const recipe = proxiedRecipe(async () => import('../../.recipes/script-in-pages.js'))

  it('inserts it once, before the first </head>, even if two chunks share it', async () => {
    recipe.client.request('GET', '/')
    const connection = await recipe.upstream.connection()
    connection.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nETag: "a"\r\n${html}\r\n`)
    connection.write(asChunk('<head><title>schön</title></he'))
    expect(await recipe.client.untilText('<title>sch')).to.match(/ETag: W\/"a"/)
    connection.write(asChunk('ad><body>'))
    expect(await recipe.client.untilText('<body>')).to.include(`${script}</head>`)
    connection.write(asChunk('</head>'), lastChunk)
    expect(await recipe.client.untilText(lastChunk)).not.to.include(script)
  })

  for (const [coding, compress] of [
    ['br', zlib.brotliCompressSync],
    ['gzip', zlib.gzipSync],
  ] as const) {
    it(`inserts it into a page in ${coding}, which the client gets in gzip`, async () => {
      const page = `<html><head></head>${'<p>text</p>'.repeat(1000)}</html>`
      const getting = once(
        get({ port: recipe.port, headers: { 'Accept-Encoding': 'gzip' }, agent: false }),
        'response',
      )
      const connection = await recipe.upstream.connection()
      const packed = compress(page)
      connection.write(
        `HTTP/1.1 200 OK\r\nContent-Encoding: ${coding}\r\nContent-Length: ${packed.length}\r\n${html}\r\n`,
        packed,
      )
      const [response] = (await getting) as [IncomingMessage]
      expect(response.headers['content-encoding']).to.equal('gzip')
      expect(await text(response.pipe(zlib.createGunzip()))).to.equal(
        page.replace('</head>', `${script}</head>`),
      )
    })
  }

  it('passes on an image, and its ranges, as they are', async () => {
    recipe.client.request('GET', '/logo.png', { Range: 'bytes=0-1', Accept: 'image/*' })
    const connection = await recipe.upstream.connection()
    expect(await connection.untilText('\r\n\r\n')).to.match(/^range: bytes=0-1/im)
    const part = answer('ab', 'Content-Type: image/png\r\nConnection: close\r\n').replace(
      '200 OK',
      '206 Partial Content',
    )
    connection.write(part)
    const { status, headers, body } = await recipe.client.response()
    expect(status).to.equal(206)
    expect(headers['content-length']).to.deep.equal(['2'])
    expect(body.toString()).to.equal('ab')
  })

  it('asks for a whole page, and passes on a page without a head', async () => {
    recipe.client.request('GET', '/', { Range: 'bytes=0-1', Accept: 'text/html' })
    const connection = await recipe.upstream.connection()
    expect(await connection.untilText('\r\n\r\n')).not.to.match(/^range/im)
    connection.write(answer('no head', html))
    expect((await recipe.client.response()).body.toString()).to.equal('no head')
  })
})
