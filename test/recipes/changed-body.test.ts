import { expect } from 'chai'
import { asChunk, lastChunk } from '../support/clients/raw-client.js'
import { answer } from '../support/servers/scripted-upstream.js'
import { proxiedRecipe } from './proxied-recipe.js'

describe('recipe: proxy with a changed body', () => {
  const recipe = proxiedRecipe(async () => import('../../.recipes/changed-body.js'))

  it('adds a field to the JSON of an order, and adjusts the length', async () => {
    recipe.client.request('POST', '/orders', { 'Content-Type': 'application/json' }, '{ "id": "7" , "n": 1 }')
    const connection = await recipe.upstream.connection()
    const body = '{"id":"7","n":1,"source":"web"}'
    expect(await connection.untilText(body)).to.contain(`\r\ncontent-length: ${body.length}\r\n`)
    connection.write(answer('taken', 'Connection: close\r\n'))
    expect((await recipe.client.response()).body.toString()).to.equal('taken')
  })

  it('answers 400 to a body that is not an order, and the upstream gets no request', async () => {
    const before = recipe.upstream.accepted
    recipe.client.request('POST', '/orders', { 'Content-Type': 'application/json' }, '{"n":1}')
    expect((await recipe.client.response()).status).to.equal(400)
    expect(recipe.upstream.accepted).to.equal(before)
  })

  it('masks card numbers as they stream through, even if split across two chunks', async () => {
    recipe.client.write('POST /import HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n')
    recipe.client.write(asChunk('a 1234567890123456 b 12345678'))
    const connection = await recipe.upstream.connection()
    await connection.untilText('a **************** b ')
    recipe.client.write(asChunk('90123456 c 123'), lastChunk)
    expect(await connection.untilText('\r\n0\r\n\r\n')).to.match(/\*{16} c [^]*123\r\n0/)
    connection.write(answer('taken', 'Connection: close\r\n'))
    expect((await recipe.client.response()).status).to.equal(200)
  })

  it('appends a banner to a page, chunk by chunk', async () => {
    recipe.client.request('GET', '/pages/one')
    const connection = await recipe.upstream.connection()
    expect(await connection.untilText('\r\n\r\n')).to.match(/^GET \/one /)
    connection.write(
      'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nETag: "a"\r\nContent-Length: 12\r\nConnection: close\r\n\r\n<h1>One',
    )
    expect(await recipe.client.untilText('<h1>One'))
      .to.match(/ETag: W\/"a"/)
      .and.not.match(/content-length/i)
    connection.write('</h1>')
    await recipe.client.untilText('<footer>Maintenance tonight at ten</footer>')
    await recipe.client.untilText('0\r\n\r\n')
  })

  it('passes a large page whole to a client that reads late', async () => {
    const page = 'x'.repeat(5_000_000)
    recipe.client.request('GET', '/pages/large')
    recipe.client.socket.pause()
    const connection = await recipe.upstream.connection()
    await connection.untilText('\r\n\r\n')
    connection.write(
      `HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: ${page.length}\r\nConnection: close\r\n\r\n`,
    )
    expect(connection.write(page)).to.equal(false)
    recipe.client.socket.resume()
    const { body } = await recipe.client.response()
    expect(body.length).to.equal(page.length + '<footer>Maintenance tonight at ten</footer>'.length)
  })

  for (const [what, status, type] of [
    ['a picture', '200 OK', 'image/png'],
    ['a part of a page', '206 Partial Content', 'text/html'],
  ] as const) {
    it(`passes ${what} below /pages unchanged`, async () => {
      recipe.client.request('GET', '/pages/two')
      const connection = await recipe.upstream.connection()
      await connection.untilText('\r\n\r\n')
      connection.write(
        `HTTP/1.1 ${status}\r\nContent-Type: ${type}\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc`,
      )
      expect((await recipe.client.response()).body.toString()).to.equal('abc')
    })
  }

  it('ends the upstream request when the client leaves in the middle of an import', async () => {
    recipe.client.write('POST /import HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n')
    recipe.client.write(asChunk('half '))
    const connection = await recipe.upstream.connection()
    await connection.untilText('half ')
    recipe.client.destroy()
    await connection.closed()
    expect(connection.pending.toString()).not.to.contain('0\r\n\r\n')
  })
})
