import { expect } from 'chai'
import { proxied, request } from '../support/servers/proxied.js'
import { closeServers } from '../support/servers/servers.js'

describe('GHSA-8xcm-r25x-g524 (undici)', () => {
  afterEach(closeServers)

  it('a retry never joins two answers: a request that was answered in part is not sent again', async () => {
    const { client, upstream, exchange } = await proxied()
    const { connection } = await exchange(request('GET', '/'))
    client.write(request('GET', '/part'))
    await connection.untilText('GET /part ')
    connection.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\nETag: "a"\r\n\r\nhalf')
    await client.untilText('half')
    connection.socket.resetAndDestroy()
    await client.closed()
    expect(upstream.accepted).to.equal(1)
  })
})
