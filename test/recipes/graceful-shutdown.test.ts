import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { expect } from 'chai'
import type { Express } from 'express'
import { WebSocket, WebSocketServer } from 'ws'
import { RawClient } from '../support/clients/raw-client.js'
import { recipeApp } from '../support/recipes/recipe-app.js'
import { closeServers, listen } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'

interface Program {
  readonly app: Express
  readonly server: Server
  readonly shutDown: () => Promise<void>
}

describe('recipe: a graceful shutdown', () => {
  let program: Program
  let port: number
  let chat: WebSocketServer
  const slow = deferred<ServerResponse>()
  const late = deferred<ServerResponse>()

  before(async () => {
    const upstream = await listen(
      createServer((req, res) => (req.url === '/late' ? late : slow).resolve(res)),
    )
    chat = new WebSocketServer({ server: upstream.server })
    program = await recipeApp<Program>('graceful-shutdown', { UPSTREAM: upstream.url, PATIENCE_MS: '1500' })
    ;({ port } = await listen(program.server))
  })
  after(async () => {
    process.removeAllListeners('SIGTERM')
    chat.close()
    await closeServers()
  })

  it('passes on the requests of open connections, cuts tunnels after the patience, and leaves nothing open', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/chat`)
    await once(socket, 'open')
    const client = await RawClient.connect(port)
    client.request('GET', '/slow')
    const res = await slow.promise
    const response = await fetch(`http://127.0.0.1:${port}/ready`)
    expect(await response.json()).to.deep.equal({ isEnding: false, requests: 1, tunnels: 1 })

    const closed = once(socket, 'close')
    const ended = once(program.server, 'close')
    const done = program.shutDown()
    client.request('GET', '/late')
    res.end('whole')
    const { body } = await client.response()
    expect(body.toString()).to.equal('whole')
    const lateResponse = await late.promise
    lateResponse.end('late')
    const { status, headers } = await client.response()
    expect([status, headers['connection']]).to.deep.equal([200, ['close']])
    expect((await closed)[0]).to.equal(1006)
    await done
    await ended
  })
})
