import { expect } from 'chai'
import express from 'express'
import { attach, passthroughProxy } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { request } from '../support/servers/proxied.js'
import { scriptedUpstream } from '../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../support/servers/servers.js'

describe('envoyproxy/envoy#44525', () => {
  afterEach(closeServers)

  it('headers that Connection names are stripped from upgrades too', async () => {
    const upstream = await scriptedUpstream()
    const app = express().use(passthroughProxy(upstream.url))
    const { server, port } = await serve(app)
    attach(server, app)
    const client = await RawClient.connect(port)
    client.write(
      request(
        'GET',
        '/',
        'Connection: Upgrade, X-Internal',
        'Upgrade: websocket',
        'X-Internal: admin',
        'Keep-Alive: 1',
      ),
    )
    const connection = await upstream.connection()
    expect(await connection.untilText('\r\n\r\n')).not.to.match(/x-internal|admin|keep-alive: 1/i)
    client.destroy()
  })
})
