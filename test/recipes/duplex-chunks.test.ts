import { once } from 'node:events'
import http from 'node:http'
import { constants, createGunzip } from 'node:zlib'
import { expect } from 'chai'
import { app } from '../../.recipes/duplex-chunks.js'
import { examples } from '../docs/examples.js'
import { asChunk, lastChunk, RawClient } from '../support/clients/raw-client.js'
import { root } from '../support/repository/repository.js'
import { closeServers, serve } from '../support/servers/servers.js'

describe('recipe: send and receive chunks over one POST connection', () => {
  afterEach(closeServers)

  it('answers chunk n before chunk n + 1 is sent, and sends the head before the first chunk', async () => {
    const { port, connections } = await serve(app)
    const client = await RawClient.connect(port)
    client.write('POST /shout HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n')
    expect(await client.untilText('\r\n\r\n')).to.match(/^HTTP\/1.1 200 OK\r\n/)
    for (const word of ['one', 'two', 'three', 'four']) {
      client.write(asChunk(word))
      expect(await client.untilText('\r\n')).to.equal(`${word.length}\r\n`)
      expect(await client.untilText('\r\n')).to.equal(`${word.toUpperCase()}\r\n`)
      expect(client.pending).to.have.length(0)
    }
    client.write(lastChunk)
    expect(await client.untilText('\r\n\r\n')).to.equal('0\r\n\r\n')
    expect(connections).to.have.length(1)
    client.destroy()
  })

  it('does so through gzip', async () => {
    const { port } = await serve(app)
    const request = http.request({
      port,
      method: 'POST',
      path: '/shout',
      headers: { 'Accept-Encoding': 'gzip' },
      agent: false,
    })
    request.flushHeaders()
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    expect(response.headers['content-encoding']).to.equal('gzip')
    const decoded = response.pipe(createGunzip({ finishFlush: constants.Z_SYNC_FLUSH }))
    for (const word of ['one', 'two', 'three']) {
      request.write(word)
      const [answer] = (await once(decoded, 'data')) as [Buffer]
      expect(answer.toString()).to.equal(word.toUpperCase())
    }
    request.end()
    await once(decoded, 'end')
  })

  it('keeps a letter whole when its bytes come in two chunks', async () => {
    const { port } = await serve(app)
    const client = await RawClient.connect(port)
    const letter = Buffer.from('é')
    client.write('POST /shout HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n')
    client.write(asChunk(letter.subarray(0, 1)))
    client.write(asChunk(letter.subarray(1)))
    client.write(lastChunk)
    expect((await client.response()).body.toString()).to.equal('É')
    client.destroy()
  })
})

describe('recipe: chunks both ways, the clients of the page', () => {
  afterEach(closeServers)

  for (const [title, name] of [
    ['docs-recipes-duplex-chunks 1', 'shout'],
    ['docs-recipes-duplex-chunks 2', 'shoutByFetch'],
  ] as const) {
    it(`hear each line before they send the next: ${name}`, async () => {
      const example = examples().find((one) => one.title === title)
      const client = (await import(
        `${root}/build/.recipes/${example?.file.replace('.ts', '.js')}`
      )) as Record<string, (url: string, lines: readonly string[]) => Promise<string[]>>
      const { url } = await serve(app)
      expect(await client[name]?.(`${url}/shout`, ['one', 'two', 'three'])).to.deep.equal([
        'ONE',
        'TWO',
        'THREE',
      ])
    })
  }
})
