// A heartbeat that came due between `res.end()` and the last byte was still written. Node emits that as an 'error'
// event of the response, which has no listener: a client that was slow to read the end of its events ended the process.
// Found by mutation testing: the check for a response that is over could be removed, and no test failed.
import { expect } from 'chai'
import express from 'express'
import { autoFlush } from 'sluiceway'
import { severalBeats } from '../auto-flush/event-streams.js'
import { StreamingClient } from '../support/clients/streaming-client.js'
import { closeServers, serve } from '../support/servers/servers.js'

describe('a heartbeat that comes due after the end of a response', () => {
  afterEach(closeServers)

  it('is not written, however slowly the client reads', async () => {
    const app = express().use(autoFlush({ heartbeatMs: 20 }))
    app.get('/', (_req, res) => {
      res.type('text/event-stream').write(`data: ${'x'.repeat(16 * 1024 * 1024)}\n\n`)
      res.end()
    })
    const { url } = await serve(app)
    const client = await StreamingClient.get(url)
    client.response.pause()
    await severalBeats()
    client.response.resume()
    expect((await client.ended()).slice(-4)).to.equal('xx\n\n')
  })
})
