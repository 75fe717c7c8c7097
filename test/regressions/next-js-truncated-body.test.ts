import { expect } from 'chai'
import express from 'express'
import { bodyCache, passthroughProxy } from 'sluiceway'
import { asChunk, lastChunk, RawClient } from '../support/clients/raw-client.js'
import { scriptedUpstream } from '../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../support/servers/servers.js'

describe('Next.js', () => {
  afterEach(closeServers)

  it('a body over the limit is not delivered as if it were whole, and no proxy completes it', async () => {
    const upstream = await scriptedUpstream()
    const app = express()
      .set('env', 'test')
      .use(bodyCache({ limit: 10 }), passthroughProxy(upstream.url))
    const client = await RawClient.connect((await serve(app)).port)
    client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n', asChunk('01234'))
    const connection = await upstream.connection()
    await connection.untilText('01234')
    client.write(asChunk('56789x'), lastChunk)
    expect((await client.response()).status).to.equal(413)
    await connection.closed()
    expect(connection.pending.toString()).not.to.contain('0\r\n\r\n')
    client.destroy()
  })
})
