import { once } from 'node:events'
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  ServerResponse,
} from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import type { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import { setImmediate as immediate } from 'node:timers/promises'
import tls from 'node:tls'
import { expect } from 'chai'
import { attach, passthroughProxy } from 'sluiceway'
import { cut, message, upgradeTo } from '../support/clients/pipelined.js'
import { RawClient } from '../support/clients/raw-client.js'
import { observing } from '../support/observed.js'
import { listen, serve } from '../support/servers/servers.js'
import { certificate, key } from '../support/servers/tls-certificate.js'
import { deferred } from '../support/time/deferred.js'
import { turns } from '../support/time/mocked-clock.js'
import {
  answered,
  answersTo,
  apps,
  choosing,
  closeAll,
  expectOwn404,
  HANDSHAKE,
  open,
  others,
  own,
  type Step,
  type UpgradeListener,
} from './neighbors.js'

/** The same, after a while, as behind a login. */
const ownLater: Step = (req, res, next) => void setImmediate(() => own(req, res, next))

/** A frame of a WebSocket, masked with zeros, and the answer to it. */
const PING = Buffer.from('898000000000', 'hex')
const PONG = '8a00'

/** Those that answer with pages of their own. */
const PAGES = new Set(['Express 5', 'Express 4', 'connect'])

const failing: Step = (_req, _res, next) => next(Object.assign(new Error('not today'), { status: 418 }))

describe('attach beside other listeners for upgrades', () => {
  const observer = observing()
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
            expect(await answersTo(port, ['/app', '/other']), order).to.deep.equal(['app', 'ws'])
          }
        })
      }
    }

    it(`has an error answered by the app, and not by another listener: ${name}`, async () => {
      let calls = 0
      const app = chain((req, res, next) => {
        calls++
        failing(req, res, next)
      })
      const client = await open(app, [others['ws with { server }']!])
      client.write(upgradeTo('websocket', '/other', ...HANDSHAKE))
      const { status, headers, body } = await client.response()
      expect(status).to.equal(418)
      expect(headers['content-type']?.[0]).to.equal(
        `text/${PAGES.has(name) ? 'html' : 'plain'}; charset=utf-8`,
      )
      expect(body.toString()).to.match(PAGES.has(name) ? /<pre>Error: not today/ : /^I'm a Teapot$/)
      expect(calls).to.equal(1)
      await client.closed()
    })

    it(`has the app's own 404 if all of them ignore an upgrade: ${name}`, async () => {
      const body = await expectOwn404(chain(own))
      expect(body).to.match(PAGES.has(name) ? /Cannot GET \/none/ : /^Not Found$/)
    })
  }

  const chain = apps['Express 5']!

  it('leaves the refusal of a path that neither knows to ws, once', async () => {
    const client = await open(chain(own), [others['ws with { server, path }']!])
    expect(await answered(client, '/none')).to.equal('400')
    await client.closed()
  })

  for (const [how, answer] of Object.entries<(socket: Duplex) => void>({
    writes: (socket) => void socket.write('HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n'),
    'cuts the connection': (socket) => void socket.destroy(),
  })) {
    it(`calls no other behind a listener that ${how}`, async () => {
      const told = deferred()
      let rest = 0
      const client = await open(chain(own), [
        (server) =>
          void server
            .on('upgrade', (_req: IncomingMessage, socket: Duplex) => {
              answer(socket)
              told.resolve()
            })
            .on('upgrade', (_req: IncomingMessage, _socket: Duplex) => rest++),
      ])
      client.write(upgradeTo('websocket', '/other'))
      await told.promise
      await turns()
      expect(rest).to.equal(0)
      client.destroy()
    })
  }

  it('leaves one to a listener that is called once', async () => {
    const calledOnce = (server: Server): void => {
      others['ws with { server }']!(server)
      const [listener] = server.listeners('upgrade').slice(-1)
      server.off('upgrade', listener as UpgradeListener).once('upgrade', listener as UpgradeListener)
    }
    const client = await open(chain(own), [calledOnce])
    expect(await answered(client, '/app')).to.equal('app')
    client.destroy()
    const other = await open(chain(own), [calledOnce])
    expect(await answered(other, '/other')).to.equal('ws')
    other.destroy()
  })

  for (const [how, step] of Object.entries<Step>({
    'has answered': (_req, res, next) => {
      res.writeHead(200).end('answered')
      next()
    },
    'has begun to answer': (_req, res, next) => {
      res.writeHead(200, { 'Content-Length': 8 }).write('answered')
      next()
    },
    'has taken the connection over': ({ socket }, _res, next) => {
      socket.on('data', () => {}).write('answered')
      next()
    },
  })) {
    it(`calls none of them if the app ${how} before it passes on`, async () => {
      let told = 0
      const client = await open(chain(step), [
        (server) => void server.on('upgrade', (_req: IncomingMessage, _socket: Duplex) => told++),
      ])
      client.write(upgradeTo('websocket', '/other'))
      await client.untilText('answered')
      await turns()
      expect(told).to.equal(0)
      client.destroy()
    })
  }

  it('leaves a connection to the handler that has taken it over before it passes on', async () => {
    const app = chain(({ socket }, _res, next) => {
      socket.pipe(socket)
      next()
    })
    const client = await open(app, [others['ws with { server }']!])
    client.write(upgradeTo('websocket', '/other'), 'echo')
    await client.untilText('echo')
    client.destroy()
  })

  it('leaves a connection alone that the app has passed on before it fails, or passed on twice', async () => {
    for (const app of [
      (async (...[, , next]: Parameters<Step>) => {
        next()
        await Promise.reject(new Error('too late'))
      }) as unknown as RequestListener,
      chain((_req, _res, next) => {
        next()
        next()
      }),
    ]) {
      const client = await open(app, [choosing('/other')])
      expect(await answered(client, '/other')).to.equal('ws')
      client.write(PING)
      expect((await client.bytes(2)).toString('hex')).to.equal(PONG)
      client.destroy()
    }
  })

  it('no longer offers an upgrade that was passed on to a proxy', async () => {
    const asked = deferred<IncomingMessage>()
    const upstream = await serve((req, res) => {
      asked.resolve(req)
      res.end()
    })
    const proxy = passthroughProxy(upstream.url)
    const client = await open(chain(own), [
      (server) =>
        void server.on('upgrade', (req: IncomingMessage, _socket: Duplex) => {
          proxy(req, new ServerResponse(req), () => {})
        }),
    ])
    client.write(upgradeTo('websocket', '/other'))
    expect((await asked.promise).headers).not.to.have.property('upgrade')
    client.destroy()
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

  it('gives them the bytes that came right behind the head, and later ones', async () => {
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

  it('lets them wait until a connection has drained', async () => {
    const client = await open(chain(own), [
      (server) =>
        void server.on('upgrade', (_req: IncomingMessage, socket: Duplex) => {
          while (socket.write(Buffer.alloc(100_000)));
          socket.once('drain', () => socket.end('drained'))
        }),
    ])
    client.write(upgradeTo('websocket', '/other'))
    await client.untilText('drained')
  })

  it('leaves them no connection that its client has cut', async () => {
    let told = 0
    const arrival = deferred()
    const app = chain((_req, res, next) => {
      res.on('close', () => setImmediate(next))
      arrival.resolve()
    })
    const client = await open(app, [
      (server) => void server.on('upgrade', (_req: IncomingMessage, _socket: Duplex) => told++),
    ])
    client.write(upgradeTo('websocket', '/other'))
    await arrival.promise
    cut(client)
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
    'has read the request when it rejects': async (req, _socket) => {
      await text(req)
      throw new Error('oops')
    },
  })) {
    it(`ends only that connection if a listener ${how}`, async () => {
      const contained = observer.messages('sluiceway:contained')
      const client = await open(chain(own), [(server) => void server.on('upgrade', listener)])
      client.write(upgradeTo('websocket', '/other'))
      await client.closed()
      expect(contained.map(({ req, error }) => [req?.url, (error as Error).message])).to.deep.equal([
        ['/other', 'oops'],
      ])
    })
  }

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
