import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { constants, createGzip } from 'node:zlib'
import { WebSocketServer } from 'ws'
import { Connections, type Place } from './connections.js'
import { now, type Trace, type Traces } from './traces.js'

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
export async function createUpstream(traces: Traces): Promise<Upstream> {
  const seen: Seen = { connections: 0, requests: 0, upgrades: 0 }
  const server = createServer((req, res) => {
    seen.requests += 1
    answer(req, res)
  })
  const connections = new Connections(server)
  server.on('connection', () => {
    seen.connections += 1
  })
  server.on('upgrade', () => {
    seen.upgrades += 1
  })
  echoMessages(server, traces)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen }

  function answer(req: IncomingMessage, res: ServerResponse): void {
    const place = connections.place(req)
    const trace = traces.of(req)
    const way = new URL(req.url ?? '', 'http://b').searchParams.get('way')
    trace.note('upstream', 'request', { headers: req.rawHeaders, way, ...place })
    res.once('finish', () => trace.note('upstream', 'answered', { status: res.statusCode, way, ...place }))
    res.once('close', () => {
      if (!res.writableFinished) trace.note('upstream', 'left', { way, ...place })
    })
    const route = routes[`${req.method} ${req.url?.split('?')[0]}`] ?? notFound
    void route({ req, res, trace, place })
  }
}

interface Asked {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly trace: Trace
  readonly place: Place
}

type Route = (asked: Asked) => void | Promise<void>

const routes: Readonly<Record<string, Route>> = {
  'GET /hello': greet,
  'POST /digest': digest,
  'POST /shout': shout,
  'GET /events': sendEvents,
  'GET /work': work,
  'GET /payments': sendPayments,
}

/** Tells what was asked. One header of the answer is for the next hop alone: the proxy keeps it. */
function greet({ req, res, trace, place }: Asked): void {
  const text = JSON.stringify({ hello: 'from B', ...place, headers: req.headers })
  const headers = [
    ['Content-Type', 'application/json'],
    ['Content-Length', String(Buffer.byteLength(text))],
    ['Cache-Control', 'no-store'],
    ['X-Answered-By', 'B'],
    ['X-Hop', 'between A and B only'],
    ['Connection', 'keep-alive, X-Hop'],
    ['Date', new Date().toUTCString()],
  ].flat()
  trace.note('upstream', 'head', { headers })
  res.writeHead(200, headers)
  res.end(text)
}

/** Reads the body as it comes and tells what it was. */
async function digest({ req, res, trace }: Asked): Promise<void> {
  const hash = createHash('sha256')
  const startedAt = now()
  let bytes = 0
  const arrivals: [ms: number, bytes: number][] = []
  try {
    for await (const chunk of req) {
      hash.update(chunk)
      bytes += chunk.length
      arrivals.push([Math.round((now() - startedAt) * 10) / 10, bytes])
    }
  } catch {
    return // the sender left; there is nobody to answer
  }
  trace.note('upstream', 'read', { bytes, pieces: arrivals.length })
  sendJson(res, 200, {
    bytes,
    sha256: hash.digest('hex'),
    contentLength: req.headers['content-length'],
    pieces: arrivals.length,
    startedAt,
    arrivals: thinned(arrivals),
  })
}

/** At most 200 of them, the last one included: enough to draw. */
function thinned<Item>(items: readonly Item[]): readonly Item[] {
  const step = Math.ceil(items.length / 200)
  return items.filter((item, index) => index % step === 0 || index === items.length - 1)
}

/** Answers each piece of the body in capitals while the rest is still to come. */
async function shout({ req, res, trace }: Asked): Promise<void> {
  res.writeHead(200, { 'Content-Type': 'text/plain; charset=utf-8' })
  res.flushHeaders()
  req.setEncoding('utf8')
  try {
    for await (const piece of req) {
      trace.note('upstream', 'heard', { word: String(piece).trim() })
      res.write(String(piece).toUpperCase())
    }
  } catch {
    return // the sender left
  }
  res.end()
}

/** Eight server-sent events, one each 50 ms. */
async function sendEvents({ res }: Asked): Promise<void> {
  res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' })
  for (let event = 1; event <= 8 && !res.destroyed; event++) {
    res.write(`data: ${JSON.stringify({ event, of: 8, writtenAt: now() })}\n\n`)
    await sleep(50)
  }
  res.end()
}

/** Six payments, one each 80 ms, compressed; each is flushed. */
async function sendPayments({ res }: Asked): Promise<void> {
  res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Content-Encoding': 'gzip' })
  const compressor = createGzip()
  compressor.pipe(res)
  for (let payment = 1; payment <= 6 && !res.destroyed; payment++) {
    const card = `4111 1111 1111 ${1000 + payment}`
    compressor.write(`data: ${JSON.stringify({ card, writtenAt: now() })}\n\n`)
    compressor.flush(constants.Z_SYNC_FLUSH)
    await sleep(80)
  }
  compressor.end()
}

/** Works for a second, step by step, unless the one who asked leaves. */
async function work({ res, trace }: Asked): Promise<void> {
  trace.holdUntil(res, 'close')
  for (let step = 1; step <= 20 && !res.destroyed; step++) {
    res.write(`step ${step} of 20\n`)
    await sleep(50)
  }
  res.end()
}

function notFound({ req, res }: Asked): void {
  req.resume()
  sendJson(res, 404, { error: `the upstream has no ${req.method} ${req.url}`, code: 'NOT_FOUND' })
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

function echoMessages(server: Server, traces: Traces): void {
  const sockets = new WebSocketServer({ server, path: '/socket', maxPayload: 64 * 1024 })
  sockets.on('connection', (socket, req) => {
    const trace = traces.of(req)
    trace.note('upstream', 'opened')
    socket.on('error', () => {})
    socket.on('close', () => trace.note('upstream', 'closed'))
    socket.on('message', (data, isBinary) => {
      trace.note('upstream', 'message')
      socket.send(data, { binary: isBinary })
    })
  })
}
