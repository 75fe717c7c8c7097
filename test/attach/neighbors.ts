import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { setImmediate as immediate } from 'node:timers/promises'
import { expect } from 'chai'
import { attach, type AttachOptions } from 'sluiceway'
import { WebSocketServer } from 'ws'
import { upgradeTo } from '../support/clients/pipelined.js'
import { RawClient } from '../support/clients/raw-client.js'
import { expressVersions } from '../support/express/express-versions.js'
import { closeServers, listen } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { MockedClock } from '../support/time/mocked-clock.js'

// It writes errors to stderr, except under test, which Express sets before.
const { default: connect } = await import('connect')

export type Step = (
  req: IncomingMessage,
  res: Parameters<RequestListener>[1],
  next: (error?: unknown) => void,
) => void
export type UpgradeListener = (req: IncomingMessage, socket: Duplex, head: Buffer) => void
type Chain = (...steps: readonly Step[]) => RequestListener

/** What may be attached: each passes on, behind its last step, to the third argument that it is called with. */
export const apps: Record<string, Chain> = {
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

export const HANDSHAKE = ['Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13']

/** Takes the upgrades for '/app', in the way of a proxy: it answers them itself. */
export const own: Step = (req, res, next) => {
  if (req.url !== '/app') return next()
  res.writeHead(101, { Upgrade: 'websocket', Connection: 'Upgrade', 'X-By': 'app' }).flushHeaders()
}

let sockets: WebSocketServer[] = []

/** Ends what a test has opened: use it as `afterEach(closeAll)`. */
export async function closeAll(): Promise<void> {
  for (const webSockets of sockets) webSockets.close()
  for (const webSockets of sockets) for (const socket of webSockets.clients) socket.terminate()
  sockets = []
  await closeServers()
}

/** Other users of upgrades on the same server, each for '/other'. */
export const others: Record<string, (server: Server) => void> = {
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
export function choosing(path: string): (server: Server) => void {
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

export async function open(
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
export async function answered(client: RawClient, path: string): Promise<string> {
  client.write(upgradeTo('websocket', path, ...HANDSHAKE))
  const { status, headers } = await client.response()
  const by = status === 101 ? headers['x-by']?.[0] : String(status)
  expect(client.pending.length, 'bytes behind the answer').to.equal(0)
  return by ?? 'nobody knows'
}

/** Asks for an upgrade with each path, over connections of their own, and returns who answered. */
export async function answersTo(port: number, paths: readonly string[]): Promise<string[]> {
  const seen: string[] = []
  for (const path of paths) {
    const client = await RawClient.connect(port)
    seen.push(await answered(client, path))
    client.destroy()
  }
  return seen
}

/** Has a listener ignore an upgrade that the app has not taken either. */
export async function expectOwn404(app: RequestListener, options?: AttachOptions): Promise<string> {
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
  const { status, body } = await client.response()
  expect(status).to.equal(404)
  await client.closed()
  return body.toString()
}
