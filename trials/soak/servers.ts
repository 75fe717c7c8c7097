// The app that the storm goes over, and its upstream that dies and comes back.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

import compression from 'compression'
import express from 'express'
import { attach, autoFlush, bodyCache, maxBytes, passthroughProxy, pipeChild } from 'sluiceway'
import { WebSocketServer } from 'ws'

/** A server whose open connections are known. */
export interface Listening {
  readonly server: Server
  readonly port: number
  readonly open: ReadonlySet<Socket>
}

/** Starts a server on a free port; of its connections only those are kept in mind that are open. */
export async function listening(server: Server, port = 0): Promise<Listening> {
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

/** One upstream, on the same port whenever it is up. */
export class Upstream {
  /** How often it has gone. */
  outages = 0
  /** Whether it may be asked with certainty of an answer. */
  isUp = true
  readonly url: string
  private readonly listening: Listening

  private constructor(server: Listening) {
    this.listening = server
    this.url = `http://127.0.0.1:${server.port}`
  }

  static async start(): Promise<Upstream> {
    const server = createServer(upstreamListener)
    const webSockets = new WebSocketServer({ server })
    webSockets.on('connection', (socket) => {
      socket.on('error', () => {})
      socket.on('message', (data, binary) => socket.send(data, { binary }))
    })
    return new Upstream(await listening(server))
  }

  /** Dies with all its connections, by FIN or RST, and is back `downMs` later. */
  async restart(downMs: number): Promise<void> {
    const { server, port } = this.listening
    this.isUp = false
    this.outages += 1
    const down = new Promise((resolve) => void server.close(resolve))
    this.dropConnections()
    await down
    await pause(downMs)
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    // What was under way when it died may be asked for still.
    await pause(500)
    this.isUp = true
  }

  dropConnections(): void {
    for (const socket of this.listening.open) {
      if (this.outages % 2 === 0) socket.destroy()
      else socket.resetAndDestroy()
    }
  }

  close(): void {
    this.listening.server.close()
  }
}

/** Everything of this package in one app. `directory` takes the bodies that do not fit in memory. */
export function application(upstreamUrl: string, directory: string): express.Express {
  const app = express().set('env', 'test')
  app.use(autoFlush({ heartbeatMs: 20 }), compression({ threshold: 0 }))
  app.use(maxBytes('1mb'), bodyCache({ memory: '16kb', directory }))
  app.use('/proxied', passthroughProxy(upstreamUrl))
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
