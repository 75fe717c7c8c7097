import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocketServer } from 'ws'

/** What reached the upstream so far, counted by itself. */
export interface Seen {
  connections: number
  requests: number
  upgrades: number
}

/** The server behind the proxy. It uses nothing of sluiceway. */
export interface Upstream {
  readonly server: Server
  readonly url: string
  readonly seen: Readonly<Seen>
}

/** Starts the upstream on a free port of 127.0.0.1. */
export async function createUpstream(): Promise<Upstream> {
  const seen: Seen = { connections: 0, requests: 0, upgrades: 0 }
  const server = createServer((req, res) => {
    seen.requests += 1
    answer(req, res, seen)
  })
  server.on('connection', () => {
    seen.connections += 1
  })
  server.on('upgrade', () => {
    seen.upgrades += 1
  })
  echoMessages(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen }
}

function answer(req: IncomingMessage, res: ServerResponse, seen: Readonly<Seen>): void {
  const route = routes[`${req.method} ${req.url}`] ?? notFound
  void route(req, res, seen)
}

type Route = (req: IncomingMessage, res: ServerResponse, seen: Readonly<Seen>) => void | Promise<void>

const routes: Readonly<Record<string, Route>> = {
  'GET /hello': greet,
  'POST /digest': digest,
  'GET /events': sendEvents,
}

function greet(req: IncomingMessage, res: ServerResponse, seen: Readonly<Seen>): void {
  const headers = Object.fromEntries(
    ['host', 'x-forwarded-for', 'x-forwarded-proto'].map((name) => [name, req.headers[name]]),
  )
  sendJson(res, 200, { hello: 'from the upstream', request: seen.requests, headers })
}

/** Reads the body as it comes and tells what it was. */
async function digest(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const hash = createHash('sha256')
  const startedAt = performance.now()
  let bytes = 0
  const arrivals: [ms: number, bytes: number][] = []
  try {
    for await (const chunk of req) {
      hash.update(chunk)
      bytes += chunk.length
      arrivals.push([Math.round(performance.now() - startedAt), bytes])
    }
  } catch {
    return // the sender left; there is nobody to answer
  }
  sendJson(res, 200, {
    bytes,
    sha256: hash.digest('hex'),
    contentLength: req.headers['content-length'],
    pieces: arrivals.length,
    arrivals: thinned(arrivals),
  })
}

/** At most 200 of them, the last one included: enough to draw. */
function thinned<Item>(items: readonly Item[]): readonly Item[] {
  const step = Math.ceil(items.length / 200)
  return items.filter((item, index) => index % step === 0 || index === items.length - 1)
}

/** Twelve server-sent events, one each 150 ms. */
async function sendEvents(req: IncomingMessage, res: ServerResponse): Promise<void> {
  res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' })
  for (let event = 1; event <= 12 && !res.destroyed; event++) {
    res.write(`data: ${JSON.stringify({ event, of: 12, sentAt: Date.now() })}\n\n`)
    await sleep(150)
  }
  res.end('event: done\ndata: {}\n\n')
}

function notFound(req: IncomingMessage, res: ServerResponse): void {
  req.resume()
  sendJson(res, 404, { error: `the upstream has no ${req.method} ${req.url}` })
}

function sendJson(res: ServerResponse, status: number, value: object): void {
  const text = JSON.stringify(value)
  res.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
    'Cache-Control': 'no-store',
  })
  res.end(text)
}

function echoMessages(server: Server): void {
  const sockets = new WebSocketServer({ server, path: '/socket', maxPayload: 64 * 1024 })
  sockets.on('connection', (socket) => {
    socket.on('error', () => {})
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
  })
}
