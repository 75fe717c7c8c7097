import { createHash, randomBytes } from 'node:crypto'
import { expect } from 'chai'
import { app } from '../../.recipes/limit-uploads.js'
import { asChunk, lastChunk, RawClient } from '../support/clients/raw-client.js'
import { closeServers, serve } from '../support/servers/servers.js'

const megabyte = 1024 * 1024

describe('recipe: limit uploads', () => {
  afterEach(closeServers)

  it('accepts a file of exactly the limit and refuses one byte more', async () => {
    const { port } = await serve(app)
    const file = randomBytes(megabyte)
    const client = await RawClient.connect(port)
    client.request('POST', '/files', {}, file)
    const taken = await client.response()
    expect(taken.status).to.equal(201)
    expect(JSON.parse(taken.body.toString()).sha256).to.equal(createHash('sha256').update(file).digest('hex'))

    client.request('POST', '/files', {}, Buffer.concat([file, Buffer.from('!')]))
    expect(await client.response()).to.include({ status: 413 })
    client.destroy()
  })

  it("delivers the app's own 413 to a client that writes 10 MB before it reads, then serves the next client", async () => {
    const { port } = await serve(app)
    const client = await RawClient.connect(port)
    client.write('POST /files HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n')
    client.socket.pause()
    for (let sent = 0; sent < 10; sent++) await written(client, asChunk(Buffer.alloc(megabyte)))
    await written(client, Buffer.from(lastChunk))
    client.socket.resume()
    const refused = await client.response()
    expect(refused.status).to.equal(413)
    expect(refused.headers['connection']).to.deep.equal(['close'])
    expect(JSON.parse(refused.body.toString())).to.include({
      code: 'ERR_SLUICEWAY_BODY_TOO_LARGE',
      limit: megabyte,
    })
    client.destroy()

    const next = await RawClient.connect(port)
    next.request('POST', '/files', {}, 'small')
    expect(await next.response()).to.include({ status: 201 })
    next.destroy()
  })

  it('takes more only if the function says so', async () => {
    const { port } = await serve(app)
    for (const [path, size, status] of [
      ['/videos', 2 * megabyte, 201],
      ['/videos', 51 * megabyte, 413],
      ['/files', 2 * megabyte, 413],
    ] as const) {
      const client = await RawClient.connect(port)
      client.write(`POST ${path} HTTP/1.1\r\nHost: test\r\nContent-Length: ${size}\r\n\r\n`)
      if (status === 201) client.write(Buffer.alloc(size))
      expect(await client.response(), `${path} ${size}`).to.include({ status })
      client.destroy()
    }
  })

  it('applies the smaller limit on its route', async () => {
    const { port } = await serve(app)
    const client = await RawClient.connect(port)
    const json = JSON.stringify({ text: 'x'.repeat(11 * 1024) })
    client.request('POST', '/settings', { 'Content-Type': 'application/json' }, json)
    const refused = await client.response()
    expect(refused.status).to.equal(413)
    expect(JSON.parse(refused.body.toString()).limit).to.equal(10 * 1024)
    client.destroy()
  })
})

function written(client: RawClient, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    client.socket.write(bytes, (error) => (error ? reject(error) : resolve()))
  })
}
