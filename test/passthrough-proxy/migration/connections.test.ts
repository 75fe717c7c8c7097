import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { expect } from 'chai'
import express, { type RequestHandler } from 'express'
import httpProxy from 'http-proxy'
import { createProxyMiddleware, legacyCreateProxyMiddleware } from 'http-proxy-middleware'
import { attach, passthroughProxy } from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { observing } from '../../support/observed.js'
import { hasNode22Packages, loadNode22 } from '../../support/repository/node22.js'
import { scriptedUpstream, type ScriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, listen, serve, type TestServer } from '../../support/servers/servers.js'
import { until } from '../../support/time/until.js'

/** The options whose rows in the page's tables are about connections, by their names there. */

interface Upgrading extends RequestHandler {
  readonly upgrade: (req: IncomingMessage, socket: Socket, head: Buffer) => void
}

const HANDSHAKE = [
  'GET /chat HTTP/1.1',
  'Host: www.example.org:8000',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
  '\r\n',
].join('\r\n')

const SWITCHING = [
  'HTTP/1.1 101 Switching Protocols',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
  '\r\n',
].join('\r\n')

const peers = {
  'http-proxy-middleware 3': async (options: object) => createProxyMiddleware(options) as Upgrading,
  'http-proxy-middleware 4': async (options: object) =>
    (
      await loadNode22<{ createProxyMiddleware: (given: object) => Upgrading }>('http-proxy-middleware')
    ).createProxyMiddleware(options),
}
type Peer = keyof typeof peers

const LIKE_THERE = { preserveHost: true, forwarded: false } as const

/** An app with the peer, whose upgrades it takes from the server. */
async function served(peer: Peer, options: object): Promise<TestServer> {
  const middleware = await peers[peer](options)
  const server = createServer(express().set('env', 'test').disable('x-powered-by').use(middleware))
  server.on('upgrade', (req: IncomingMessage, socket: Socket, head: Buffer) =>
    middleware.upgrade(req, socket, head),
  )
  return await listen(server)
}

/** An app with our proxy and the middlewares before it. */
async function ours(...handlers: RequestHandler[]): Promise<TestServer> {
  const app = express().set('env', 'test').disable('x-powered-by')
  for (const handler of handlers) app.use(handler)
  const server = createServer(app)
  attach(server, app)
  return await listen(server)
}

/** The lines of a head, without their order, the case of names and tokens, our mark and the date. */
function compared(head: string): string[] {
  const lines = head.trimEnd().split('\r\n')
  const lowered = lines.map((line) =>
    line.replace(/^(?:connection:.*|[\w-]+:)/i, (part) => part.toLowerCase()),
  )
  return lowered.filter((line) => !/^(?:sluiceway-loop|date):/.test(line)).toSorted()
}

interface Conversation {
  readonly asked: string[]
  readonly answered: string[]
  readonly client: RawClient
  readonly connection: RawClient
}

/** Opens a WebSocket through a proxy, and exchanges some bytes both ways. */
async function converse(upstream: ScriptedUpstream, port: number): Promise<Conversation> {
  const client = await RawClient.connect(port)
  client.write(HANDSHAKE)
  const connection = await upstream.connectionWith('GET /chat ')
  const asked = await connection.untilText('\r\n\r\n')
  connection.write(SWITCHING, 'early')
  const answered = await client.untilText('early')
  client.write('from the client')
  await connection.untilText('from the client')
  connection.write('from the upstream')
  await client.untilText('from the upstream')
  return { asked: compared(asked), answered: compared(answered), client, connection }
}

describe('migration: options about connections', () => {
  const observer = observing()
  let upstream: ScriptedUpstream

  beforeEach(async () => {
    upstream = await scriptedUpstream()
  })
  afterEach(closeServers)

  for (const peer of Object.keys(peers) as Peer[]) {
    describe(peer, () => {
      before(function () {
        if (peer === 'http-proxy-middleware 4' && !hasNode22Packages) this.skip()
      })

      it('ws', async () => {
        const there = await converse(upstream, (await served(peer, { target: upstream.url, ws: true })).port)
        const here = await converse(upstream, (await ours(passthroughProxy(upstream.url, LIKE_THERE))).port)
        expect(here.asked).to.deep.equal(there.asked)
        expect(here.answered).to.deep.equal(there.answered)
        for (const { client, connection } of [there, here]) {
          client.destroy()
          await connection.closed()
        }
      })

      it('ws: middlewares run only here', async () => {
        const refuse: RequestHandler = (_req, res) => void res.sendStatus(401)
        const middleware = await peers[peer]({ target: upstream.url, ws: true })
        const server = createServer(express().use(refuse, middleware))
        server.on('upgrade', (req: IncomingMessage, socket: Socket, head: Buffer) =>
          middleware.upgrade(req, socket, head),
        )
        const there = await converse(upstream, (await listen(server)).port)
        there.client.destroy()
        const client = await RawClient.connect((await ours(refuse, passthroughProxy(upstream.url))).port)
        client.write(HANDSHAKE)
        expect((await client.response()).status).to.equal(401)
        client.destroy()
      })

      it('on.proxyReqWs', async () => {
        const on = {
          proxyReqWs: (proxyReq: { setHeader: (name: string, value: string) => void }) =>
            proxyReq.setHeader('X-User', 'alice'),
        }
        const there = await converse(
          upstream,
          (await served(peer, { target: upstream.url, ws: true, on })).port,
        )
        const proxy = passthroughProxy(upstream.url, {
          ...LIKE_THERE,
          onRequest: ({ headers }) => headers.set('X-User', 'alice'),
        })
        const here = await converse(upstream, (await ours(proxy)).port)
        expect(here.asked).to.deep.equal(there.asked).and.to.include('x-user: alice')
        for (const { client } of [there, here]) client.destroy()
      })

      it('on.open, on.close', async () => {
        const told: string[] = []
        const on = { open: () => told.push('open'), close: () => told.push('close') }
        const options = { target: upstream.url, ws: true, on }
        const there = await converse(upstream, (await served(peer, options)).port)
        there.connection.socket.end()
        await until(() => told.length === 2)
        observer.on('tracing:sluiceway:proxy:asyncStart', ({ status }) => {
          if (status === 101) told.push('open')
        })
        const note: RequestHandler = (_req, res, next) => {
          res.on('close', () => told.push('close'))
          next()
        }
        const proxy = passthroughProxy(upstream.url, LIKE_THERE)
        const here = await converse(upstream, (await ours(note, proxy)).port)
        here.connection.socket.end()
        for (const { client } of [there, here]) client.destroy()
        await until(() => told.length === 4)
        expect(told).to.deep.equal(['open', 'close', 'open', 'close'])
      })

      it('on.econnreset', async () => {
        const told = new Set<string>()
        const tell = (): void => void told.add('there')
        const on = { econnreset: tell, error: tell }
        const there = await served(peer, { target: upstream.url, on })
        const here = await ours(
          (_req, res, next) => {
            res.on('close', () => void (res.writableFinished || told.add('here')))
            next()
          },
          passthroughProxy(upstream.url, LIKE_THERE),
        )
        for (const [name, { port }] of Object.entries({ there, here })) {
          const client = await RawClient.connect(port)
          client.write('POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc')
          const connection = await upstream.connectionWith('\r\n\r\nabc')
          client.destroy()
          await connection.closed()
          await until(() => told.has(name))
        }
      })

      it('timeout', async () => {
        const there = await served(peer, { target: upstream.url, timeout: 30 })
        const here = await ours(passthroughProxy(upstream.url, LIKE_THERE))
        here.server.setTimeout(30)
        for (const { port } of [there, here]) {
          const client = await RawClient.connect(port)
          client.write('GET /x HTTP/1.1\r\nHost: a\r\n\r\n')
          await client.closed()
          expect(client.pending.toString()).to.equal('')
        }
      })
    })
  }

  it('upgradeTimeout', async function () {
    if (!hasNode22Packages) return this.skip()
    const options = { target: upstream.url, ws: true, upgradeTimeout: 30 }
    const there = await RawClient.connect((await served('http-proxy-middleware 4', options)).port)
    there.write(HANDSHAKE)
    await there.closed()
    expect(there.pending.toString()).to.equal('')
    const here = await RawClient.connect(
      (await ours(passthroughProxy(upstream.url, { headersTimeoutMs: 30 }))).port,
    )
    here.write(HANDSHAKE)
    expect((await here.response()).status).to.equal(504)
    here.destroy()
    return undefined
  })

  it('proxy.web, proxy.close', async () => {
    const target = (await serve((req, res) => res.end(req.url))).url
    const proxy = httpProxy.createProxyServer({ target })
    const there = await serve((req, res) => proxy.web(req, res))
    const middleware = passthroughProxy(target, LIKE_THERE)
    const here = await serve((req, res) => middleware(req, res, () => res.writeHead(502).end()))
    for (const { url } of [there, here]) expect(await (await fetch(`${url}/x?y`)).text()).to.equal('/x?y')
    await middleware.close()
    expect((await fetch(here.url)).status).to.equal(502)
  })

  it('proxy.ws, proxy.listen', async () => {
    const proxy = httpProxy.createProxyServer({ target: upstream.url, ws: true }).listen(0, '127.0.0.1')
    // It has no other way to the port that the system has chosen.
    const { _server: server } = proxy as unknown as { readonly _server: Server }
    await until(() => server.listening)
    const there = await converse(upstream, (server.address() as AddressInfo).port)
    const here = await converse(upstream, (await ours(passthroughProxy(upstream.url, LIKE_THERE))).port)
    expect(here.asked).to.deep.equal(there.asked)
    for (const { client, connection } of [there, here]) {
      client.destroy()
      await connection.closed()
    }
    proxy.close()
  })

  it('onProxyReq, onProxyRes, onError, logLevel, context', async () => {
    const target = (await serve((req, res) => res.end(`${req.url} ${String(req.headers['x-user'])}`))).url
    const legacy = legacyCreateProxyMiddleware('/api', {
      target,
      logLevel: 'silent',
      onProxyReq: (proxyReq: { setHeader: (name: string, value: string) => void }) =>
        proxyReq.setHeader('X-User', 'alice'),
    } as never) as RequestHandler
    const there = await serve(express().use(legacy))
    const onRequest = passthroughProxy(`${target}/api`, {
      onRequest: ({ headers }) => headers.set('X-User', 'alice'),
    })
    const here = await serve(express().use('/api', onRequest))
    for (const { url } of [there, here]) {
      expect(await (await fetch(`${url}/api/x`)).text()).to.equal('/api/x alice')
      expect((await fetch(`${url}/other`)).status).to.equal(404)
    }
  })
})
