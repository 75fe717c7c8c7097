import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:https'
import { createRequire } from 'node:module'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'
import { expect } from 'chai'
import express from 'express'
import type * as sluiceway from 'sluiceway'
import { attach } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { answer, scriptedUpstream } from '../support/servers/scripted-upstream.js'
import { closeServers, listen } from '../support/servers/servers.js'

// The other copy of the package: it must recognise the request and the response that attach passes.
const { passthroughProxy } = createRequire(import.meta.url)('sluiceway') as typeof sluiceway

describe('attach to an https server, with the proxy of the CommonJS copy', () => {
  let tcp: net.Socket
  let client: RawClient
  let upstream: Awaited<ReturnType<typeof scriptedUpstream>>

  before(function needsOpenssl() {
    try {
      execFileSync('openssl', ['version'])
    } catch {
      console.log('    skipped: there is no openssl')
      this.skip()
    }
  })

  beforeEach(async () => {
    upstream = await scriptedUpstream()
    const app = express().use(passthroughProxy(upstream.url))
    const server = createServer(certificate(), app)
    attach(server, app)
    const { port } = await listen(server)
    tcp = net.connect({ port, host: '127.0.0.1' })
    const socket = tls.connect({ socket: tcp, rejectUnauthorized: false })
    client = RawClient.over(socket)
    await once(socket, 'secureConnect')
  })
  afterEach(closeServers)

  it('tunnels a WebSocket upgrade', async () => {
    client.write(
      'GET /tunnel HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly',
    )
    const connection = await upstream.connection()
    expect(await connection.untilText('\r\n\r\n')).to.contain('X-Forwarded-Proto: https')
    connection.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello',
    )
    await client.untilText('hello')
    await connection.untilText('early')
    client.destroy()
    await connection.closed()
  })

  it('ends the upstream request when the client cuts its connection before the 101', async () => {
    client.write('GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    const connection = await upstream.connection()
    await connection.untilText('\r\n\r\n')
    tcp.resetAndDestroy()
    await Promise.all([connection.closed(), client.closed()])
  })

  it('serves h2c as a plain request, and the next one on the same connection', async () => {
    client.write('GET /1 HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n')
    const connection = await upstream.connection()
    expect(await connection.untilText('\r\n\r\n')).not.to.match(/upgrade/i)
    connection.write(answer())
    expect((await client.response()).status).to.equal(200)
    client.request('GET', '/2')
    await connection.untilText('GET /2 ')
    connection.write(answer())
    expect((await client.response()).status).to.equal(200)
  })
})

/** A new certificate for each run; the repository holds no secret. */
function certificate(): { key: Buffer; cert: Buffer } {
  const directory = mkdtempSync(join(tmpdir(), 'sluiceway-'))
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=test']
  execFileSync('openssl', ['req', '-x509', ...kind, '-days', '1', '-keyout', key, '-out', cert], {
    stdio: 'ignore',
  })
  const pair = { key: readFileSync(key), cert: readFileSync(cert) }
  rmSync(directory, { recursive: true })
  return pair
}
