import { expect } from 'chai'
import express from 'express'
import { passthroughProxy } from 'sluiceway'
import { Agent } from 'undici'

import { RawClient } from '../support/raw-client.js'
import { answer, scriptedUpstream, type ScriptedUpstream } from '../support/scripted-upstream.js'
import { closeServers, serve } from '../support/servers.js'

const NOT_MODIFIED = 'HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\nETag: "a"\r\n\r\n'

describe('passthroughProxy and the parser of undici', () => {
  let upstream: ScriptedUpstream

  beforeEach(async () => {
    upstream = await scriptedUpstream()
  })
  afterEach(closeServers)

  async function asking(dispatcher?: Agent): Promise<RawClient> {
    const app = express().use(passthroughProxy(upstream.url, { dispatcher }))
    const client = await RawClient.connect((await serve(app)).port)
    client.request('GET', '/first')
    return client
  }

  // If this one fails after an update of undici, lib/passthrough-proxy/upstream/undici/parser.ts no longer reaches its parser.
  it('keeps the connection of the built-in pool behind a 304 with Content-Length', async () => {
    const client = await asking()
    const connection = await upstream.connection()
    await connection.untilText('\r\n\r\n')
    connection.write(NOT_MODIFIED)
    expect((await client.response()).headers['content-length']).to.deep.equal(['500'])
    client.request('GET', '/second')
    await connection.untilText('GET /second ')
    connection.write(answer())
    expect((await client.response()).status).to.equal(200)
    expect(upstream.accepted).to.equal(1)
    client.destroy()
  })

  for (const raw of [NOT_MODIFIED, NOT_MODIFIED.replace('304 Not Modified', '204 No Content')]) {
    it(`loses no ${raw.slice(9, 12)} with Content-Length where a dispatcher of the caller loses the connection`, async () => {
      const dispatcher = new Agent()
      const client = await asking(dispatcher)
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      connection.write(raw)
      expect((await client.response()).status).to.be.oneOf([204, 304])
      client.request('GET', '/second')
      const next = await upstream.connection()
      await next.untilText('GET /second ')
      next.write(answer())
      expect((await client.response()).body.toString()).to.equal('ok')
      client.destroy()
      await dispatcher.destroy()
    })
  }
})
