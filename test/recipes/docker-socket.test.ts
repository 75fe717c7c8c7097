import { createServer as createHttpServer, type Server } from 'node:http'
import { createServer, type Server as SocketServer, type Socket } from 'node:net'
import path from 'node:path'
import { expect } from 'chai'
import type { Express } from 'express'
import { RawClient } from '../support/clients/raw-client.js'
import { emptyDirectory, removeDirectories } from '../support/process/temporary-files.js'
import { closeServers, listen } from '../support/servers/servers.js'
import { until } from '../support/time/until.js'

const SWITCHING =
  'HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n'

/** A daemon as Docker's. An attach is answered on the bare socket, as Docker does. */
function daemon(asked: string[]): SocketServer {
  const http = createHttpServer((req, res) => {
    asked.push(`${req.method} ${req.url} ${req.headers.authorization}`)
    res.shouldKeepAlive = false // so that the first bytes of a connection tell whether it is one
    if (req.url === '/v1.41/containers/web/logs?follow=1') {
      res.write('first line\n')
      res.on('close', () => asked.push('the log is closed'))
    } else res.end('[]')
  })
  return createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {})
    socket.once('data', (first: Buffer) => {
      if (/^upgrade: tcp\r$/im.test(first.toString('latin1'))) return converse(socket)
      socket.unshift(first)
      return http.emit('connection', socket)
    })
  })
}

/** Echoes what comes, as `cat` in a container would, and tells the exit when its input ends. */
function converse(socket: Socket): void {
  socket.write(`${SWITCHING}attached\n`)
  socket.on('data', (chunk: Buffer) => void socket.write(chunk)).on('end', () => socket.end('exit 0\n'))
}

const TOKEN = { Authorization: 'Bearer sesame' }

describe("recipe: Docker's socket", () => {
  const asked: string[] = []
  let port: number
  let url: string

  before(async () => {
    const socketPath = path.join(emptyDirectory(), 'docker.sock')
    await listen(daemon(asked), { path: socketPath })
    Object.assign(process.env, { DOCKER_SOCKET: socketPath, API_TOKEN: 'sesame' })
    const { app, server } = (await import('../../.recipes/docker-socket.js')) as {
      app: Express
      server: Server
    }
    for (const name of ['DOCKER_SOCKET', 'API_TOKEN']) delete process.env[name]
    app.set('env', 'test')
    ;({ port, url } = await listen(server))
  })
  beforeEach(() => {
    asked.length = 0
  })
  after(closeServers)
  after(removeDirectories)

  it('lets out the calls of the list, without the token', async () => {
    for (const call of [
      '/containers/json?all=1',
      '/v1.41/containers/json',
      '/_ping',
      '/containers/web/json',
    ]) {
      expect((await fetch(url + call, { headers: TOKEN })).status, call).to.equal(200)
      expect(asked.splice(0)).to.deep.equal([`GET ${call} undefined`])
    }
  })

  for (const call of [
    'GET /images/json',
    'POST /containers/create',
    'DELETE /containers/web',
    'POST /containers/json',
    'GET /containers/../images/json',
    'GET /containers/%2e%2e/json',
    'GET /containers/web/logs/x',
    'POST /exec/e1/start',
    'POST /containers/web/attach/../../create',
  ]) {
    it(`refuses ${call}`, async () => {
      const [method = '', target = ''] = call.split(' ')
      const client = await RawClient.connect(port)
      client.request(method, target, TOKEN)
      expect((await client.response()).status).to.equal(403)
      expect(asked).to.deep.equal([])
      client.destroy()
    })
  }

  it('asks for the token', async () => {
    for (const headers of [{}, { Authorization: 'Bearer sesama' }, { Authorization: 'Bearer' }]) {
      expect((await fetch(`${url}/containers/json`, { headers })).status).to.equal(401)
    }
    const client = await RawClient.connect(port)
    client.write(
      'POST /containers/web/attach HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n',
    )
    expect((await client.response()).status).to.equal(401)
    client.destroy()
    expect(asked).to.deep.equal([])
  })

  it('follows a log, and ends it when its reader leaves', async () => {
    const reader = await RawClient.connect(port)
    reader.request('GET', '/v1.41/containers/web/logs?follow=1', TOKEN)
    await reader.untilText('first line\n')
    reader.destroy()
    await until(() => asked.includes('the log is closed'))
  })

  for (const length of ['', 'Content-Length: 0\r\n']) {
    it(`attaches to a container, input and output to their ends (${length.trim() || 'no length'})`, async () => {
      const client = await RawClient.connect(port)
      client.write(
        `POST /v1.41/containers/web/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sesame\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n${length}\r\n`,
      )
      expect(await client.untilText('attached\n')).to.match(/^HTTP\/1.1 101 /)
      client.write('hello\n')
      await client.untilText('hello\n')
      client.socket.end('goodbye\n')
      await client.untilText('goodbye\nexit 0\n')
      await client.closed()
    })
  }
})
