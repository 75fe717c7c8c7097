import { expect } from 'chai'
import { proxied } from '../support/servers/proxied.js'
import { closeServers } from '../support/servers/servers.js'
import { SMUGGLED } from './advisories.js'

describe('tinyproxy/tinyproxy#623', () => {
  afterEach(closeServers)

  it('a space before the colon of Content-Length is refused', async () => {
    const { client, upstream } = await proxied()
    client.write(`POST / HTTP/1.1\r\nHost: test\r\nContent-Length : ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`)
    expect((await client.response()).status).to.equal(400)
    expect(upstream.accepted).to.equal(0)
  })
})
