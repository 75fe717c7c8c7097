import { createHash } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import { text } from 'node:stream/consumers'
import { createGunzip } from 'node:zlib'
import { expect } from 'chai'
import { server } from '../../.recipes/filter-over-http.js'
import { closeServers, listen } from '../support/servers/servers.js'
import { isThorough } from '../support/thorough.js'

const MB = 1024 * 1024

describe('recipe: a filter over HTTP', () => {
  let port: number

  beforeEach(async () => {
    ;({ port } = await listen(server))
  })
  afterEach(closeServers)

  async function filter(
    name: string,
    headers = {},
  ): Promise<{ upload: http.ClientRequest; response: Promise<http.IncomingMessage> }> {
    const upload = http.request({ port, method: 'PUT', path: `/filter/${name}`, agent: false, headers })
    upload.on('error', () => {})
    upload.flushHeaders()
    const response = once(upload, 'response').then(([found]) => found as http.IncomingMessage)
    return { upload, response }
  }

  it('answers each piece before the next is sent', async () => {
    const { upload, response } = await filter('first')
    upload.write('one\ntwo\n')
    expect(await text(await response)).to.equal('one\n')
    upload.destroy()
  })

  it('sorts', async () => {
    const { upload, response } = await filter('sort')
    upload.end('b\nc\na\n')
    expect(await text(await response)).to.equal('a\nb\nc\n')
  })

  it('asks a client for its body that waits to be asked', async () => {
    const { upload, response } = await filter('upper', { Expect: '100-continue' })
    await once(upload, 'continue')
    upload.end('asked')
    expect(await text(await response)).to.equal('ASKED')
  })

  it('cuts the response of a filter that fails', async () => {
    const { upload, response } = await filter('gunzip')
    upload.end('x')
    expect((await response).statusCode).to.equal(404)
    const failing = await filter('jq')
    failing.upload.end('{')
    const found = await failing.response
    // jq, or a machine without it.
    if (found.statusCode === 200) expect(await text(found).catch(() => 'cut')).to.equal('cut')
    else expect(found.statusCode).to.equal(500)
  })

  it(`passes ${isThorough ? '1 GB' : '64 MB'} both ways at once, unchanged`, async function () {
    this.timeout(isThorough ? 280_000 : 60_000)
    const total = isThorough ? 1024 : 64
    const { upload, response } = await filter('gzip')
    const sent = createHash('md5')
    const received = createHash('md5')
    const reading = async (): Promise<void> => {
      const found = await response
      for await (const chunk of found.pipe(createGunzip())) received.update(chunk as Buffer)
    }
    const whole = reading()
    for (let n = 0; n < total; n++) {
      const piece = Buffer.alloc(MB, `piece ${n} `)
      sent.update(piece)
      if (!upload.write(piece)) await once(upload, 'drain')
    }
    upload.end()
    await whole
    expect(received.digest('hex')).to.equal(sent.digest('hex'))
  })
})
