import { createServer } from 'node:http'
import { expect } from 'chai'
import type { Express } from 'express'
import { attach } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { scriptedUpstream, type ScriptedUpstream } from '../support/servers/scripted-upstream.js'
import { closeServers, listen } from '../support/servers/servers.js'

describe('recipe: migrate from http-proxy-middleware', () => {
  let app: Express
  let upstream: ScriptedUpstream

  before(async () => {
    upstream = await scriptedUpstream()
    process.env['UPSTREAM'] = `${upstream.url}/v1`
    ;({ app } = await import('../../.recipes/from-http-proxy-middleware.js'))
    delete process.env['UPSTREAM']
  })
  after(closeServers)

  it('does the same as the program before it', async () => {
    const server = createServer(app)
    attach(server, app)
    const client = await RawClient.connect((await listen(server)).port)
    client.request('POST', '/api/x', { 'Content-Type': 'application/json', 'X-Session': 'secret' }, '{"a":1}')
    const connection = await upstream.connection()
    const seen = await connection.untilText('{"a":1}')
    expect(seen)
      .to.match(/^POST \/v1\/x /)
      .and.contain('X-User: alice\r\n')
    connection.write(
      `HTTP/1.1 201 Created\r\nServer: x\r\nLocation: ${upstream.url}/v1/x/7\r\nSet-Cookie: a=1; Domain=127.0.0.1\r\nContent-Length: 0\r\n\r\n`,
    )
    const { headers } = await client.response()
    expect(headers).not.to.have.property('server')
    expect(headers['location']).to.deep.equal(['/api/x/7'])
    expect(headers['set-cookie']).to.deep.equal(['a=1'])
    client.request('POST', '/api/x', {}, 'x')
    await connection.untilText('POST /v1/x ')
    connection.socket.resetAndDestroy()
    const failed = await client.response()
    expect([failed.status, failed.body.toString()]).to.deep.equal([502, 'try again'])
    client.destroy()
  })
})
