import { expect } from 'chai'
import express from 'express'
import { attach, passthroughProxy } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { request } from '../support/servers/proxied.js'
import { answer, scriptedUpstream } from '../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { linesOf } from './advisories.js'

describe('golang/go#80416 (Go, net/http/httputil.ReverseProxy)', () => {
  afterEach(closeServers)

  it('h2c is never tunnelled, and HTTP2-Settings is not passed on', async () => {
    const upstream = await scriptedUpstream()
    const app = express().use(passthroughProxy(upstream.url, { forwarded: false }))
    const { server, port } = await serve(app)
    attach(server, app)
    for (const upgrade of ['h2c', 'H2C', 'h2c, websocket-like', 'h2']) {
      const client = await RawClient.connect(port)
      client.write(
        request(
          'GET',
          '/',
          upgrade === 'h2' ? 'Connection: Upgrade' : 'Connection: Upgrade, HTTP2-Settings',
          `Upgrade: ${upgrade}`,
          'HTTP2-Settings: AAA',
        ),
      )
      const connection = await upstream.connection()
      expect(linesOf(await connection.untilText('\r\n\r\n'))).to.deep.equal([])
      connection.write(answer('plain', 'Connection: close\r\n'))
      expect((await client.response()).body.toString()).to.equal('plain')
      client.destroy()
    }
  })
})
