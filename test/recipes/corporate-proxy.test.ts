import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { connect, type Socket } from 'node:net'
import { expect } from 'chai'
import type { Express } from 'express'
import type { ProxyAgent } from 'undici'
import { StreamingClient } from '../support/clients/streaming-client.js'
import { closeServers, listen, serve } from '../support/servers/servers.js'
import { key, serverCertificate, tlsFile } from '../support/servers/tls-certificate.js'

interface Program {
  readonly app: Express
  readonly server: Server
  readonly dispatcher: ProxyAgent & { readonly closed: boolean }
}

/** A proxy as companies have it: it opens tunnels for those who know the password, and nothing else. */
function corporateProxy(asked: string[]): Server {
  const expected = `Basic ${Buffer.from('user:pass word').toString('base64')}`
  return createServer((_req, res) => res.writeHead(403).end()).on('connect', (req, socket: Socket) => {
    const { url = '', headers } = req
    asked.push(`${req.method} ${url}`)
    socket.on('error', () => {})
    if (headers['proxy-authorization'] === expected) openTunnel(socket, Number(url.split(':')[1]))
    else socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
  })
}

function openTunnel(socket: Socket, port: number): void {
  const upstream = connect(port, '127.0.0.1', () => {
    socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
    socket.pipe(upstream).pipe(socket)
  })
  upstream.on('error', () => socket.destroy())
  socket.on('close', () => upstream.destroy())
}

describe('recipe: out through a corporate proxy', () => {
  const asked: string[] = []
  let upstreamPort: number
  let intranet: string
  let proxyPort: number
  const programs: Program[] = []
  let instance = 0

  before(async () => {
    const secure = createSecureServer({ key, cert: serverCertificate }, (req, res) => {
      if (req.url === '/events') res.write('data: one\n\n')
      else res.end(`${req.url} ${req.headers['proxy-authorization']}`)
    })
    upstreamPort = (await listen(secure)).port
    intranet = (await serve((req, res) => res.end(`intranet ${req.url}`))).url
    proxyPort = (await listen(corporateProxy(asked))).port
  })
  beforeEach(() => {
    asked.length = 0
  })
  after(async () => {
    for (const { dispatcher } of programs) await dispatcher.destroy()
    await closeServers()
  })

  async function started(credentials: string): Promise<string> {
    const environment = {
      UPSTREAM: `https://localhost:${upstreamPort}`,
      INTRANET: intranet,
      HTTPS_PROXY: `http://${credentials}@127.0.0.1:${proxyPort}`,
      CORPORATE_CA: tlsFile('authority'),
    }
    Object.assign(process.env, environment)
    const program = (await import(`../../.recipes/corporate-proxy.js?${instance++}`)) as Program
    for (const name of Object.keys(environment)) delete process.env[name]
    program.app.set('env', 'test')
    programs.push(program)
    return (await listen(program.server)).url
  }

  it('reaches the upstream through a tunnel, with the password for the proxy alone', async () => {
    const url = await started('user:pass%20word')
    expect(await (await fetch(`${url}/api/status?x=1`)).text()).to.equal('/status?x=1 undefined')
    expect(await (await fetch(`${url}/api/other`)).text()).to.equal('/other undefined')
    expect(asked).to.deep.equal([`CONNECT localhost:${upstreamPort}`])
  })

  it('streams through the tunnel', async () => {
    const client = await StreamingClient.get(`${await started('user:pass%20word')}/api/events`)
    await client.received('data: one')
    client.leave()
  })

  it('reaches the intranet without the proxy', async () => {
    const url = await started('user:pass%20word')
    expect(await (await fetch(`${url}/intranet/page`)).text()).to.equal('intranet /page')
    expect(asked).to.deep.equal([])
  })

  it('answers 502 if the proxy refuses the password', async () => {
    expect((await fetch(`${await started('user:wrong')}/api/status`)).status).to.equal(502)
  })

  it('closes the dispatcher with the server', async () => {
    const url = await started('user:pass%20word')
    await (await fetch(`${url}/api/status`)).text()
    const [{ server, dispatcher }] = programs.slice(-1) as [Program]
    server.closeAllConnections()
    await once(server.close(), 'close')
    expect(dispatcher.closed).to.equal(true)
  })
})
