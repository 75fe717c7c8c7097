// The app that the storm goes over, and its upstream that dies and comes back.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { Transform } from 'node:stream'
import compression from 'compression'
import express from 'express'
import {
  attach,
  autoFlush,
  bodyCache,
  maxBytes,
  type PassthroughProxy,
  passthroughProxy,
  pipeChild,
} from 'sluiceway'
import { WebSocketServer } from 'ws'
import { certificate, key } from '../../test/support/servers/tls-certificate.js'

type AnyServer = Server | SecureServer

/** A server whose open connections are known. */
export interface Listening<Kind extends AnyServer = Server> {
  readonly server: Kind
  readonly port: number
  readonly open: ReadonlySet<Socket>
}

/** Starts a server on a free port; of its connections only those are kept in mind that are open. */
export async function listening<Kind extends AnyServer>(server: Kind, port = 0): Promise<Listening<Kind>> {
  const open = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    open.add(socket)
    socket.on('close', () => open.delete(socket))
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return { server, port: (server.address() as AddressInfo).port, open }
}

const chunk = Buffer.alloc(64 * 1024, 'there is always more; ')

/** Writes for ever, at the pace of who reads. */
function writeEndlessly(res: ServerResponse): void {
  const more = (): void => {
    if (res.destroyed) return
    if (res.write(chunk)) setTimeout(more, 5)
    else res.once('drain', more)
  }
  more()
}

/** Says bodies and messages back. */
const upstreamListener: RequestListener = (req, res) => {
  if (req.url === '/endless') writeEndlessly(res)
  else if (req.url === '/deaf') res.on('close', () => {})
  else req.pipe(res)
}

/** One upstream, on the same ports whenever it is up: one without TLS, and one with it. */
export class Upstream {
  /** How often it has gone. */
  outages = 0
  /** Whether it may be asked with certainty of an answer. */
  isUp = true
  readonly url: string
  readonly secureUrl: string
  private readonly plain: Listening
  private readonly secure: Listening<SecureServer>

  private constructor(plain: Listening, secure: Listening<SecureServer>) {
    this.plain = plain
    this.secure = secure
    this.url = `http://127.0.0.1:${plain.port}`
    this.secureUrl = `https://127.0.0.1:${secure.port}`
  }

  static async start(): Promise<Upstream> {
    const plain = createServer(upstreamListener)
    const secure = createSecureServer({ key, cert: certificate }, upstreamListener)
    for (const server of [plain, secure]) echoMessages(server)
    return new Upstream(await listening(plain), await listening(secure))
  }

  /** Dies with all its connections, by FIN or RST, and is back `downMs` later. */
  async restart(downMs: number): Promise<void> {
    this.isUp = false
    this.outages += 1
    const down = this.both.map(({ server }) => new Promise((resolve) => void server.close(resolve)))
    this.dropConnections()
    await Promise.all(down)
    await pause(downMs)
    for (const { server, port } of this.both) {
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
    }
    // What was under way when it died may be asked for still.
    await pause(500)
    this.isUp = true
  }

  dropConnections(): void {
    for (const socket of this.both.flatMap(({ open }) => [...open])) {
      // Node never closes the descriptor of a socket that is reset while its end is being sent.
      if (this.outages % 2 === 0 || socket.writableEnded) socket.destroy()
      else socket.resetAndDestroy()
    }
  }

  close(): void {
    for (const { server } of this.both) server.close()
  }

  private get both(): readonly Listening<AnyServer>[] {
    return [this.plain, this.secure]
  }
}

function echoMessages(server: AnyServer): void {
  const webSockets = new WebSocketServer({ server })
  webSockets.on('connection', (socket) => {
    socket.on('error', () => {})
    socket.on('message', (data, binary) => socket.send(data, { binary }))
  })
}

/** Changes each byte; a second one changes it back. */
function flipped(): Transform {
  return new Transform({
    transform(bytes: Buffer, _encoding, done) {
      const changed = Buffer.from(bytes)
      // A tenth of the time of `map`, and the clients that leave send gigabytes.
      for (let n = 0; n < changed.length; n++) changed[n] = (changed[n] as number) ^ 1
      done(null, changed)
    },
  })
}

/** Nothing listens there. */
const DEAD = 'http://127.0.0.1:1'

/** The ways to the upstream, by the path on which each is mounted. */
function proxies({ url, secureUrl }: Upstream): Readonly<Record<string, PassthroughProxy>> {
  return {
    '/proxied': passthroughProxy(url),
    '/secure': passthroughProxy(secureUrl, { connect: { ca: certificate } }),
    '/failover': passthroughProxy((_req, failed) => [DEAD, url][failed?.attempt ?? 0]),
    '/changed': passthroughProxy(url, {
      onRequest: (outgoing) => void outgoing.pipeThrough(flipped()),
      onResponse: (incoming) => void incoming.decode().pipeThrough(flipped()),
    }),
  }
}

/** Everything of this package in one app. `directory` takes the bodies that do not fit in memory. */
export function application(upstream: Upstream, directory: string): express.Express {
  const app = express().set('env', 'test')
  app.use(autoFlush({ heartbeatMs: 20 }), compression({ threshold: 0 }))
  app.use(maxBytes('1mb'), bodyCache({ memory: '16kb', directory }))
  for (const [path, proxy] of Object.entries(proxies(upstream))) app.use(path, proxy)
  app.post('/read', async (req, res) => void res.end(await req.bodyCache.buffer()))
  app.post('/twice', express.json({ limit: '1mb' }), async (req, res) => {
    res.json({ first: req.body as unknown, second: await req.bodyCache.json() })
  })
  app.get('/endless', (_req, res) => writeEndlessly(res))
  app.get('/events', (_req, res) => {
    res.type('text/event-stream')
    let n = 0
    const timer = setInterval(() => res.write(`data: ${n++}\n\n`), 10)
    res.on('close', () => clearInterval(timer))
  })
  app.get('/child/:does', (req, res, next) => {
    // One that says nothing, one that says too much, one that does not heed TERM, and one that says something and ends.
    const script = scripts[req.params.does] ?? 'exit 1'
    pipeChild(res, spawn('sh', ['-c', script], { detached: true }), { forceKillAfterMs: 1000 }).catch(next)
  })
  return app
}

const scripts: Readonly<Record<string, string>> = {
  nothing: 'sleep 60',
  much: 'yes',
  deaf: "trap '' TERM; while :; do sleep 1; done",
  talk: 'echo one; echo two >&2; echo three',
}

/** Starts the app with all that belongs to it. */
export function serveApplication(app: express.Express): Promise<Listening> {
  const server = createServer(app)
  attach(server, app)
  return listening(server)
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, milliseconds))
}
