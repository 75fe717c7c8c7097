import net from 'node:net'
import { expect } from 'chai'
import type { Express } from 'express'
import { RawClient } from '../support/clients/raw-client.js'
import { closeServers, listen, serve, type TestServer } from '../support/servers/servers.js'

/** An answer as bytes, with duplicates, odd case and hop-by-hop headers. */
const answer = [
  'HTTP/1.1 200 Very Fine',
  'X-CaSe: Kept',
  'Set-Cookie: a=1',
  'Set-Cookie: b=2',
  'Connection: keep-alive, X-Hop',
  'X-Hop: never passed on',
  'Content-Length: 5',
  '',
  'hello',
].join('\r\n')

describe('recipe: copy headers and body and keep both connections alive', () => {
  let upstream: TestServer<net.Server>
  let app: Express
  const asked: string[] = []

  before(async () => {
    upstream = await listen(
      net.createServer((socket) => {
        socket.on('error', () => {})
        socket.on('data', (bytes) => {
          asked.push(bytes.toString('latin1'))
          socket.write(answer)
        })
      }),
    )
    process.env['UPSTREAM'] = upstream.url
    ;({ app } = await import('../../.recipes/keep-alive-copy.js'))
    delete process.env['UPSTREAM']
  })
  after(closeServers)

  it('copies reason, headers and body, request after request, over one connection on each side', async () => {
    const server = await serve(app)
    const client = await RawClient.connect(server.port)
    for (const path of ['/one', '/two', '/three']) {
      client.request('GET', `/api${path}`)
      const response = await client.response()
      expect(response).to.include({ status: 200, reason: 'Very Fine' })
      expect(response.head).to.include('X-CaSe: Kept\r\n')
      expect(response.headers['set-cookie']).to.deep.equal(['a=1', 'b=2'])
      expect(response.headers).to.not.have.property('x-hop')
      expect(response.body.toString()).to.equal('hello')
      expect(asked.at(-1)).to.match(new RegExp(`^GET ${path} HTTP/1.1\r\n`))
    }
    expect(server.connections).to.have.length(1)
    expect(upstream.connections).to.have.length(1)
    client.destroy()
  })
})
