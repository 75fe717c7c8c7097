import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { setImmediate as immediate } from 'node:timers/promises'

import { expect } from 'chai'
import { attach, type AttachOptions } from 'sluiceway'
import { WebSocketServer } from 'ws'

import { deferred } from '../support/deferred.js'
import { expressVersions } from '../support/express-versions.js'
import { MockedClock, turns } from '../support/mocked-clock.js'
import { message, upgradeTo } from '../support/pipelined.js'
import { RawClient } from '../support/raw-client.js'
import { closeServers, listen } from '../support/servers.js'

// It writes errors to stderr, except under test, which Express sets before.
const { default: connect } = await import('connect')

type Step = (
  req: IncomingMessage,
  res: Parameters<RequestListener>[1],
  next: (error?: unknown) => void,
) => void
type UpgradeListener = (req: IncomingMessage, socket: Duplex, head: Buffer) => void
type Chain = (...steps: readonly Step[]) => RequestListener

/** What may be attached: each passes on, behind its last step, to the third argument that it is called with. */
const apps: Record<string, Chain> = {
  ...Object.fromEntries(
    expressVersions.map(({ name, express }): [string, Chain] => [
      name,
      (...steps) => {
        const app = express().set('env', 'test')
        for (const step of steps) app.use(step)
        return app as RequestListener
      },
    ]),
  ),
  connect: (...steps) => {
    const app = connect()
    for (const step of steps) app.use(step)
    return app
  },
  'a (req, res, next) function': (...steps) =>
    ((...[req, res, next]: Parameters<Step>) => {
      const run = (index: number, error?: unknown): void => {
        const step = steps[index]
        if (step === undefined || error !== undefined) next(error)
        else step(req, res, (failure) => run(index + 1, failure))
      }
      run(0)
    }) as RequestListener,
}

const HANDSHAKE = ['Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13']

/** Takes the upgrades for '/app', in the way of a proxy: it answers them itself. */
const own: Step = (req, res, next) => {
  if (req.url !== '/app') return next()
  res.writeHead(101, { Upgrade: 'websocket', Connection: 'Upgrade', 'X-By': 'app' }).flushHeaders()
}

/** The same, after a while, as behind a login. */
const ownLater: Step = (req, res, next) => void setImmediate(() => own(req, res, next))

const failing: Step = (_req, _res, next) => next(Object.assign(new Error('not today'), { status: 418 }))

let sockets: WebSocketServer[] = []

/** Other users of upgrades on the same server, each for '/other'. */
const others: Record<string, (server: Server) => void> = {
  'ws with { server, path }': (server) => greetAs('ws', new WebSocketServer({ server, path: '/other' })),
  'ws with { server }': (server) => greetAs('ws', new WebSocketServer({ server })),
  'ws with { noServer }': (server) => {
    const webSockets = new WebSocketServer({ noServer: true })
    greetAs('ws', webSockets)
    server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => {
      if (req.url === '/other') webSockets.handleUpgrade(req, socket, head, () => {})
      else socket.destroy()
    })
  },
  'ws with { noServer }, behind a login': (server) => {
    const webSockets = new WebSocketServer({ noServer: true })
    greetAs('ws', webSockets)
    const login = async (req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
      await immediate()
      webSockets.handleUpgrade(req, socket, head, () => {})
    }
    server.on('upgrade', login as UpgradeListener)
  },
}

/** A listener that takes one path, and leaves the others to others. */
function choosing(path: string): (server: Server) => void {
  return (server) => {
    const webSockets = new WebSocketServer({ noServer: true })
    greetAs('ws', webSockets)
    server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => {
      if (req.url === path) webSockets.handleUpgrade(req, socket, head, () => {})
    })
  }
}

function greetAs(name: string, webSockets: WebSocketServer): void {
  webSockets.on('headers', (lines) => lines.push(`X-By: ${name}`))
  sockets.push(webSockets)
}

async function open(
  app: RequestListener,
  beside: readonly ((server: Server) => void)[],
  options?: AttachOptions,
): Promise<RawClient> {
  const server = createServer(app)
  attach(server, app, options)
  for (const add of beside) add(server)
  return RawClient.connect((await listen(server)).port)
}

/** The answer to an upgrade for a path: who gave it, or its status. */
async function answered(client: RawClient, path: string): Promise<string> {
  client.write(upgradeTo('websocket', path, ...HANDSHAKE))
  const { status, headers } = await client.response()
  const by = status === 101 ? headers['x-by']?.[0] : String(status)
  expect(client.pending.length, 'bytes behind the answer').to.equal(0)
  return by ?? 'nobody knows'
}

/** Has a listener ignore an upgrade that the app has not taken either. */
async function expectOwn404(app: RequestListener, options?: AttachOptions): Promise<void> {
  const clock = new MockedClock()
  const told = deferred()
  const ignoring: UpgradeListener = (_req, _socket) => told.resolve()
  const client = await open(app, [(server) => void server.on('upgrade', ignoring)], options)
  clock.stop()
  try {
    client.write(upgradeTo('websocket', '/none'))
    await told.promise
    await clock.pass(4999)
    expect(client.pending.length).to.equal(0)
    await clock.pass(1)
  } finally {
    clock.restore()
  }
  expect((await client.response()).status).to.equal(404)
  await client.closed()
}

describe('attach beside other listeners for upgrades', () => {
  afterEach(async () => {
    for (const webSockets of sockets) webSockets.close()
    for (const webSockets of sockets) for (const socket of webSockets.clients) socket.terminate()
    sockets = []
    await closeServers()
  })

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

  describe('with the option "upgrade"', () => {
    const takesAll: Step = (_req, res) => {
      res.writeHead(101, { Upgrade: 'websocket', Connection: 'Upgrade', 'X-By': 'app' }).flushHeaders()
    }
    const upgrade = ({ url }: IncomingMessage): boolean => url === '/app'

    for (const [name, build] of Object.entries(apps)) {
      it(`gives each its own where both would take it: ${name}`, async () => {
        const seen = []
        for (const path of ['/app', '/other']) {
          const client = await open(build(takesAll), [others['ws with { server }']!], { upgrade })
          seen.push(await answered(client, path))
          client.destroy()
        }
        expect(seen).to.deep.equal(['app', 'ws'])
      })
    }

    it("answers what is the app's, and what it does not take, with the app's own 404", async () => {
      const client = await open(chain(), [others['ws with { server }']!], { upgrade })
      expect(await answered(client, '/app')).to.equal('404')
      await client.closed()
    })

    it('does not show the app what is not its own', async () => {
      let asked = 0
      const app = chain((_req, _res, next) => next(++asked && undefined))
      const client = await open(app, [others['ws with { server }']!], { upgrade })
      expect(await answered(client, '/other')).to.equal('ws')
      expect(asked).to.equal(0)
      client.destroy()
    })

    it('serves what is not its own as a plain request where there is no other listener', async () => {
      const app = chain((req, res) => {
        const { upgrade: asksFor } = req as IncomingMessage & { upgrade: boolean }
        res.end(`${asksFor} ${req.headers.upgrade}`)
      })
      const client = await open(app, [], { upgrade })
      client.write(upgradeTo('websocket', '/other'))
      expect(String((await client.response()).body)).to.equal('false undefined')
    })

    it("has the app's own 404 where all of the others ignore an upgrade", async () => {
      await expectOwn404(chain(own), { upgrade })
    })

    it('ends the one connection where it throws', async () => {
      const client = await open(chain(own), [], {
        upgrade: () => {
          throw new Error('oops')
        },
      })
      client.write(upgradeTo('websocket', '/app'))
      await client.closed()
    })
  })
})
