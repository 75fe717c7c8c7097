import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { expect } from 'chai'
import { attach } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { listen } from '../support/servers/servers.js'
import { until } from '../support/time/until.js'
import {
  answered,
  answersTo,
  apps,
  choosing,
  closeAll,
  own,
  type Step,
  type UpgradeListener,
} from './neighbors.js'

/** A listener in front of the earlier ones, as sockjs (no parameter), faye (one) and primus (three) add it. */
const fronts: Record<string, (front: UpgradeListener) => UpgradeListener> = {
  'without a parameter': (front) =>
    function listener(...args: unknown[]) {
      Reflect.apply(front, undefined, args)
    },
  'with one parameter': (front) =>
    function listener(_req, ...args: unknown[]) {
      Reflect.apply(front, undefined, [_req, ...args])
    },
  'with three parameters': (front) => (req, socket, head) => front(req, socket, head),
}

/** Replaces the 'upgrade' listeners of a server by one that takes '/other', and calls them for other paths. */
function putInFront(server: Server, shape: (front: UpgradeListener) => UpgradeListener): void {
  const earlier = server.listeners('upgrade') as UpgradeListener[]
  server.removeAllListeners('upgrade')
  choosing('/other')(server)
  const [taker] = server.listeners('upgrade') as UpgradeListener[]
  server.removeAllListeners('upgrade')
  server.on(
    'upgrade',
    shape((req, socket, head) => {
      if (req.url === '/other') taker!(req, socket, head)
      else for (const listener of earlier) listener(req, socket, head)
    }),
  )
}

describe('attach beside code that puts its own listener in front of all others', () => {
  afterEach(closeAll)

  for (const [name, chain] of Object.entries(apps)) {
    for (const [what, shape] of Object.entries(fronts)) {
      it(`gives each its own: ${name}, and a listener ${what}`, async () => {
        for (const order of ['attach first', 'attach last']) {
          const app = chain(own)
          const server = createServer(app)
          if (order === 'attach last') putInFront(server, shape)
          attach(server, app)
          if (order === 'attach first') putInFront(server, shape)
          const { port } = await listen(server)
          expect(await answersTo(port, ['/app', '/other']), order).to.deep.equal(['app', 'ws'])
        }
      })
    }
  }

  it('runs the app once for an upgrade that such a listener hands back', async () => {
    let calls = 0
    const app = apps['Express 5']!((_req, res) => {
      calls++
      res.writeHead(403).end()
    })
    const server = createServer(app)
    attach(server, app)
    putInFront(server, fronts['with three parameters']!)
    const client = await RawClient.connect((await listen(server)).port)
    expect(await answered(client, '/app')).to.equal('403')
    await client.closed()
    expect(calls).to.equal(1)
  })

  it('runs no app for such a listener once it is detached', async () => {
    let calls = 0
    const app = apps['Express 5']!(() => void calls++)
    const server = createServer(app)
    const detach = attach(server, app)
    putInFront(server, fronts['with three parameters']!)
    server.on('upgrade', (req: IncomingMessage, socket: Duplex) => {
      if (req.url === '/app') socket.end('HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n')
    })
    detach()
    const client = await RawClient.connect((await listen(server)).port)
    expect(await answered(client, '/app')).to.equal('410')
    expect(calls).to.equal(0)
  })
})

describe('the request that attach leaves to another listener for upgrades', () => {
  afterEach(closeAll)

  for (const [name, chain] of Object.entries(apps)) {
    it(`may be written, and has the URL of the client: ${name}`, async () => {
      const rewrite: Step = (req, _res, next) => {
        req.url = '/rewritten'
        next()
      }
      const app = chain(rewrite)
      const server = createServer(app)
      attach(server, app)
      server.on('upgrade', (req: IncomingMessage & Record<string, unknown>, socket: Duplex) => {
        for (const key of ['query', 'path', 'ip', 'protocol']) req[key] = `own ${key}`
        const { query, path, ip, protocol } = req
        const body = JSON.stringify([req.url, query, path, ip, protocol])
        socket.end(`HTTP/1.1 403 Forbidden\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
      })
      const client = await RawClient.connect((await listen(server)).port)
      client.write('GET /other?a=b HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
      const { body } = await client.response()
      expect(JSON.parse(body.toString())).to.deep.equal([
        '/other?a=b',
        'own query',
        'own path',
        'own ip',
        'own protocol',
      ])
    })
  }

  it('stays a request of Express for handlers that go on to use it', async () => {
    let seen: unknown
    const app = apps['Express 5']!((req, res, next) => {
      const request = req as IncomingMessage & { get(name: string): unknown; readonly query: unknown }
      res.once('close', () => (seen = [request.get('x-user'), request.query]))
      next()
    })
    const server = createServer(app)
    attach(server, app)
    choosing('/other?a=b')(server)
    const client = await RawClient.connect((await listen(server)).port)
    client.write(
      'GET /other?a=b HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-User: ada\r\n' +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
    )
    expect((await client.response()).status).to.equal(101)
    client.destroy()
    await until(() => seen)
    expect(seen).to.deep.equal(['ada', { a: 'b' }])
  })
})
