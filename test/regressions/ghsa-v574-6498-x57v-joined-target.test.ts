import { expect } from 'chai'
import express from 'express'
import { passthroughProxy } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { request } from '../support/servers/proxied.js'
import { answer, scriptedUpstream } from '../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../support/servers/servers.js'

describe('GHSA-v574-6498-x57v (@fastify/reply-from and @fastify/http-proxy)', () => {
  afterEach(closeServers)

  it('targets and paths that make the same text together are kept apart', async () => {
    const one = await scriptedUpstream()
    const two = await scriptedUpstream()
    // As one text both would be http://…/a/b.
    const app = express().use(
      passthroughProxy((req) => (req.headers['x-to'] === 'one' ? `${one.url}/a` : two.url)),
    )
    const client = await RawClient.connect((await serve(app)).port)
    client.write(request('GET', '/b', 'X-To: one'))
    const first = await one.connection()
    expect(await first.untilText('\r\n')).to.equal('GET /a/b HTTP/1.1\r\n')
    first.write(answer())
    await client.response()
    client.write(request('GET', '/a/b', 'X-To: two'))
    const second = await two.connection()
    expect(await second.untilText('\r\n')).to.equal('GET /a/b HTTP/1.1\r\n')
    second.write(answer())
    await client.response()
  })
})
