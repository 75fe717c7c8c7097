import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import type { Duplex } from 'node:stream'
import { setImmediate as immediate } from 'node:timers/promises'
import tls from 'node:tls'

import { expect } from 'chai'
import { attach } from 'sluiceway'

import { deferred } from '../support/deferred.js'
import { turns } from '../support/mocked-clock.js'
import { message, upgradeTo } from '../support/pipelined.js'
import { RawClient } from '../support/raw-client.js'
import { listen } from '../support/servers.js'
import { certificate, key } from '../support/tls-certificate.js'
import {
  answered,
  apps,
  choosing,
  closeAll,
  expectOwn404,
  HANDSHAKE,
  open,
  others,
  own,
  type Step,
} from './neighbors.js'

/** The same, after a while, as behind a login. */
const ownLater: Step = (req, res, next) => void setImmediate(() => own(req, res, next))

const failing: Step = (_req, _res, next) => next(Object.assign(new Error('not today'), { status: 418 }))

describe('attach beside other listeners for upgrades', () => {
  afterEach(closeAll)

  for (const [name, chain] of Object.entries(apps)) {
    for (const [other, add] of Object.entries(others)) {
      for (const [when, step] of [
        ['', own],
        [', which takes its time', ownLater],
      ] as const) {
        it(`gives each its own, in either order: ${name}${when}, and ${other}`, async () => {
          for (const order of ['attach first', 'attach last', 'added later']) {
            const app = chain(step)
            const server = createServer(app)
            if (order === 'attach last') add(server)
            attach(server, app)
            if (order === 'attach first') add(server)
            const { port } = await listen(server)
            if (order === 'added later') add(server)
            const seen = []
            for (const path of ['/app', '/other']) {
              const client = await RawClient.connect(port)
              seen.push(await answered(client, path))
              client.destroy()
            }
            expect(seen, order).to.deep.equal(['app', 'ws'])
          }
        })
      }
    }

    it(`has an error answered by the app, and not by another listener: ${name}`, async () => {
      const client = await open(chain(failing), [others['ws with { server }']!])
      expect(await answered(client, '/other')).to.equal('418')
      await client.closed()
    })

    it(`has the app's own 404 where all of them ignore an upgrade: ${name}`, async () => {
      await expectOwn404(chain(own))
    })
  }

  const chain = apps['Express 5']!

  it('leaves the refusal of a path that neither knows to ws, once', async () => {
    const client = await open(chain(own), [others['ws with { server, path }']!])
    expect(await answered(client, '/none')).to.equal('400')
    await client.closed()
  })

  it('leaves an upgrade to the first of the others that answers it', async () => {
    const client = await open(chain(own), [choosing('/own-path'), others['ws with { server, path }']!])
    expect(await answered(client, '/own-path')).to.equal('ws')
    client.destroy()
  })

  it('keeps the listeners from an upgrade that the app has answered', async () => {
    let told = 0
    const app = chain((_req, res) => void res.writeHead(401).end())
    const client = await open(app, [
      (server) => void server.on('upgrade', (_req: IncomingMessage, _socket: Duplex) => told++),
    ])
    expect(await answered(client, '/other')).to.equal('401')
    await client.closed()
    expect(told).to.equal(0)
  })

  it('gives them the bytes that came right behind the head, and those that came meanwhile', async () => {
    const arrival = deferred<[IncomingMessage, () => void]>()
    const app = chain((req, _res, next) => arrival.resolve([req, next]))
    const client = await open(app, [
      (server) =>
        void server.on('upgrade', (_req: IncomingMessage, socket: Duplex, head: Buffer) => {
          socket.write(head)
          socket.pipe(socket)
        }),
    ])
    client.write(`${upgradeTo('websocket', '/other')}early `)
    const [{ socket }, proceed] = await arrival.promise
    const before = socket.bytesRead
    client.write('later ')
    while (socket.bytesRead === before) await immediate()
    proceed()
    await client.untilText('early later ')
    client.write('last')
    await client.untilText('last')
    client.destroy()
  })

  it('leaves them no connection whose client has left', async () => {
    let told = 0
    const arrival = deferred()
    const app = chain((req, _res, next) => {
      req.socket.on('end', () => setImmediate(next))
      arrival.resolve()
    })
    const client = await open(app, [
      (server) => void server.on('upgrade', (_req: IncomingMessage, _socket: Duplex) => told++),
    ])
    client.write(upgradeTo('websocket', '/other'))
    await arrival.promise
    client.socket.end()
    await client.closed()
    await turns()
    expect(told).to.equal(0)
  })

  it('waits, for them too, until the answer before is out', async () => {
    const arrival = deferred<() => void>()
    const app = chain((req, res, next) => {
      if (req.url === '/slow') arrival.resolve(() => res.end('slow'))
      else next()
    })
    const client = await open(app, [others['ws with { server }']!])
    client.write(message('GET /slow HTTP/1.1', 'Host: test'), upgradeTo('websocket', '/other', ...HANDSHAKE))
    const answer = await arrival.promise
    await turns()
    answer()
    expect(String((await client.response()).body)).to.equal('slow')
    expect((await client.response()).headers['x-by']).to.deep.equal(['ws'])
    client.destroy()
  })

  for (const [how, listener] of Object.entries<(...args: [IncomingMessage, Duplex]) => unknown>({
    throws: (_req, _socket) => {
      throw new Error('oops')
    },
    rejects: (_req, _socket) => Promise.reject(new Error('oops')),
  })) {
    it(`ends the one connection where a listener ${how}`, async () => {
      const client = await open(chain(own), [(server) => void server.on('upgrade', listener)])
      client.write(upgradeTo('websocket', '/other'))
      await client.closed()
    })
  }

  it('tells a listener that only watches at once, and answers in its place', async () => {
    const seen: (string | undefined)[] = []
    const client = await open(chain(own), [
      (server) => void server.on('upgrade', ({ url }: IncomingMessage) => seen.push(url)),
      (server) => void server.on('upgrade', () => seen.push('counted')),
    ])
    expect(await answered(client, '/none')).to.equal('404')
    expect(seen).to.deep.equal(['/none', 'counted'])
    await client.closed()
  })

  it('stands back where one that seems to watch has answered', async () => {
    const client = await open(chain(own), [
      (server) =>
        void server.on('upgrade', ({ socket }: IncomingMessage) => socket.end('HTTP/1.1 503 No\r\n\r\n')),
    ])
    client.write(upgradeTo('websocket', '/app'))
    await client.untilText('503')
    await client.closed()
    expect(client.pending.toString()).not.to.match(/HTTP.*HTTP/s)
  })

  it('closes the response of the app with the connection that it has passed on', async () => {
    let closing: Promise<unknown> | undefined
    const app = chain((_req, res, next) => {
      closing = once(res, 'close')
      next()
    })
    const client = await open(app, [others['ws with { server }']!])
    expect(await answered(client, '/other')).to.equal('ws')
    client.destroy()
    await closing
  })

  it('leaves the server as it was once it is detached', async () => {
    const app = chain()
    const server = createServer(app)
    const before = Reflect.ownKeys(server)
    const detach = attach(server, app)
    detach()
    expect(Reflect.ownKeys(server)).to.deep.equal(before)
  })

  it('is out of the way once it is detached, also beneath layers that others have put around server.emit', async () => {
    const app = chain(own)
    const server = createServer(app)
    const detach = attach(server, app)
    const emit = server.emit.bind(server) as (...args: unknown[]) => boolean
    server.emit = ((...args: unknown[]) => emit(...args)) as Server['emit']
    detach()
    others['ws with { server }']!(server)
    const client = await RawClient.connect((await listen(server)).port)
    expect(await answered(client, '/app')).to.equal('ws')
    client.destroy()
  })

  for (const [name, create] of Object.entries<(app: Parameters<typeof attach>[1]) => Server>({
    'an https.Server': (app) => https.createServer({ key, cert: certificate }, app),
    'the HTTP/1.1 half of an HTTP/2 server': (app) =>
      http2.createSecureServer(
        { allowHTTP1: true, key, cert: certificate },
        app as never,
      ) as unknown as Server,
  })) {
    it(`gives each its own on ${name}`, async () => {
      const app = chain(own)
      const server = create(app)
      others['ws with { server, path }']!(server)
      attach(server, app)
      const { port } = await listen(server)
      const seen = []
      for (const path of ['/app', '/other']) {
        const socket = tls.connect({
          port,
          ca: certificate,
          servername: 'localhost',
          ALPNProtocols: ['http/1.1'],
        })
        await once(socket, 'secureConnect')
        const client = RawClient.over(socket)
        seen.push(await answered(client, path))
        client.destroy()
      }
      expect(seen).to.deep.equal(['app', 'ws'])
    })
  }
})
