import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import { app } from '../../.recipes/echo-body.js'
import { asChunk, lastChunk, RawClient } from '../support/clients/raw-client.js'
import { closeServers, serve } from '../support/servers/servers.js'

describe('recipe: echo a body back', () => {
  afterEach(closeServers)

  it('sends back 5 MB byte for byte, with their type', async () => {
    const { url } = await serve(app)
    const body = randomBytes(5_000_000)
    const headers = { 'Content-Type': 'image/png', Connection: 'close' }
    const response = await fetch(`${url}/echo`, { method: 'POST', body, headers })
    expect(response.headers.get('content-type')).to.equal('image/png')
    expect(Buffer.from(await response.arrayBuffer()).equals(body)).to.equal(true)
  })

  it('sends back a part before the next one is sent', async () => {
    const { port } = await serve(app)
    const client = await RawClient.connect(port)
    client.write('POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n')
    for (const part of ['first', 'second', 'third']) {
      client.write(asChunk(part))
      await client.untilText(part)
    }
    client.write(lastChunk)
    await client.untilText('0\r\n\r\n')
    client.destroy()
  })
})
