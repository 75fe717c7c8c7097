import { expect } from 'chai'
import { proxied, request } from '../support/servers/proxied.js'
import { answer } from '../support/servers/scripted-upstream.js'
import { closeServers } from '../support/servers/servers.js'

describe('GHSA-6x33-pw7p-hmpq (npm 1486) (http-proxy)', () => {
  afterEach(closeServers)

  it('a hook that sets headers for a long body with Expect ends nothing', async () => {
    const { client, upstream } = await proxied({ onRequest: ({ headers }) => headers.set('X-Set', '1') })
    const body = 'x'.repeat(200_000)
    client.write(request('POST', '/', 'Expect: 100-continue', `Content-Length: ${body.length}`))
    await client.untilText('100 Continue\r\n\r\n')
    client.write(body)
    const connection = await upstream.connection()
    expect(await connection.untilText('\r\n\r\n')).to.contain('X-Set: 1\r\n')
    await connection.until((bytes) => (bytes.length === body.length ? true : undefined))
    connection.write(answer())
    expect((await client.response()).status).to.equal(200)
  })
})
