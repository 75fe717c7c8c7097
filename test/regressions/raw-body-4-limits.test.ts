import { buffer } from 'node:stream/consumers'
import { expect } from 'chai'
import { bodyCache, maxBytes } from 'sluiceway'
import { asChunk } from '../support/clients/raw-client.js'
import { closeServers } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { reading } from './advisories.js'

describe('raw-body 4', () => {
  afterEach(closeServers)

  it('a reader of a request that is destroyed without an error settles', async () => {
    const settled = deferred<unknown>()
    const client = await reading(async (req) => {
      const read = req.bodyCache.text().then(
        () => 'read',
        ({ code }) => code,
      )
      req.socket.destroy()
      settled.resolve(await read)
    }, bodyCache())
    client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf')
    expect(await settled.promise).to.equal('ERR_SLUICEWAY_BODY_ABORTED')
  })

  it('the first byte beyond the limit fails, before the rest has come', async () => {
    const client = await reading(async (req) => (await buffer(req)).length, maxBytes(10))
    client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n', asChunk('0123456789x'))
    expect((await client.response()).status).to.equal(413)
    client.destroy()
  })
})
