import { expect } from 'chai'
import express from 'express'
import { createServer } from 'node:http'
import { attach, bodyCache, maxBytes } from 'sluiceway'
import { asChunk, lastChunk, RawClient } from '../support/raw-client.js'
import { closeServers, listen } from '../support/servers.js'

describe('attach with maxBytes and bodyCache', () => {
  afterEach(closeServers)

  it('invites the body when an accessor of bodyCache reads it', async () => {
    const app = express().use(maxBytes('1kb'), bodyCache())
    app.post('/', async (req, res) => {
      res.end(await req.bodyCache.buffer())
    })
    const server = createServer(app)
    attach(server, app)
    const { port } = await listen(server)
    const client = await RawClient.connect(port)
    client.write(
      'POST / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n',
    )
    expect(await client.untilText('\r\n\r\n')).to.equal('HTTP/1.1 100 Continue\r\n\r\n')
    client.write(asChunk('hello'))
    client.write(lastChunk)
    expect((await client.response()).body.toString()).to.equal('hello')
    client.destroy()
  })
})
