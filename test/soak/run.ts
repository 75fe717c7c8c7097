// `npm run soak`: clients that leave at any phase, for minutes, with others in between that must be served all the same.
// Prints what it counted, and fails where something is left behind or somebody was answered wrong.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import express from 'express'
import { autoFlush, bodyCache, maxBytes, passthroughProxy, pipeChild } from 'sluiceway'
import { collectedBytes } from '../support/memory.js'
import { Mishaps } from '../support/mishaps.js'
import { closed, openDescriptors } from '../support/open-resources.js'
import { asChunk, RawClient } from '../support/raw-client.js'
import { emptyDirectory, openFilesIn, removeDirectories } from '../support/temporary-files.js'

const MINUTES = Number(process.env['SLUICEWAY_SOAK_MINUTES'] ?? 10)
const CLIENTS_AT_ONCE = 12

const body = Buffer.alloc(100_000, 'a body that is larger than what is kept in memory; ')
const directory = emptyDirectory()
const mishaps = new Mishaps()
const open = new Set<Socket>()
/** What clients got while the upstream was away, and how often. */
const excused = new Map<string, number>()
const upstream = createServer((req, res) => void req.pipe(res))
let isUpstreamUp = true

function application(upstreamUrl: string): express.Express {
  const app = express().set('env', 'test')
  app.use(maxBytes('1mb'), bodyCache({ memory: '16kb', directory }), autoFlush())
  app.post('/read', async (req, res) => void res.end(await req.bodyCache.buffer()))
  app.use('/proxied', passthroughProxy(upstreamUrl))
  app.get('/endless', (req, res) => {
    const timer = setInterval(() => res.write(body), 5)
    req.on('error', () => {})
    res.on('close', () => clearInterval(timer))
  })
  app.get('/child', (_req, res, next) => {
    pipeChild(res, spawn('sleep', ['60'], { detached: true })).catch(next)
  })
  return app
}

/** How far a client goes; then it leaves. */
const phases: readonly ((client: RawClient) => unknown)[] = [
  (client) => client.write('POST /read HTTP/1.1\r\nHost'),
  (client) =>
    client.write('POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n', asChunk(body)),
  (client) => client.write('POST /proxied HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n', body),
  (client) => client.write('POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 90000000\r\n\r\n', body),
  (client) => client.request('POST', '/proxied', {}, body),
  (client) => client.request('GET', '/child'),
  (client) => {
    // A slow reader of an endless answer.
    client.socket.pause()
    client.request('GET', '/endless')
  },
  (client) => {
    for (let part = 0; part < 20; part++) client.request('POST', '/read', {}, body)
  },
]

async function leave(port: number): Promise<void> {
  const client = await RawClient.connect(port)
  phases[Math.floor(Math.random() * phases.length)]!(client)
  await pause(Math.random() * 200)
  if (Math.random() < 0.5) client.socket.resetAndDestroy()
  else client.socket.destroy()
  await closed(client.socket)
}

/** A client that asks and waits. Its answer is right; while the upstream goes, it may be a 502, or cut. */
async function ask(port: number, path: string): Promise<number> {
  const asked = performance.now()
  const wasUp = isUpstreamUp
  const client = await RawClient.connect(port)
  client.request('POST', path, {}, body)
  const found = await client.response().then(
    ({ status, body: answer }) => (status === 200 && answer.equals(body) ? 'right' : `${status}`),
    (error: Error) => error.message,
  )
  client.destroy()
  const isExcused = path === '/proxied' && !(wasUp && isUpstreamUp)
  if (found !== 'right' && !isExcused) throw new Error(`${path}: ${found}`)
  if (found !== 'right') excused.set(found, (excused.get(found) ?? 0) + 1)
  return performance.now() - asked
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, milliseconds))
}

async function restartUpstream(port: number): Promise<void> {
  isUpstreamUp = false
  const down = new Promise((resolve) => void upstream.close(resolve))
  upstream.closeAllConnections()
  await down
  await pause(200)
  await new Promise<void>((resolve) => void upstream.listen(port, '127.0.0.1', resolve))
  // What was under way when it died may be asked for still.
  await pause(500)
  isUpstreamUp = true
}

interface Counts {
  left: number
  readonly times: number[]
  readonly wrong: string[]
}

async function storm(proxyPort: number, upstreamPort: number, end: number, counts: Counts): Promise<void> {
  const until = async (work: () => Promise<unknown>): Promise<void> => {
    while (performance.now() < end) await work()
  }
  const leaving = Array.from({ length: CLIENTS_AT_ONCE }, () =>
    until(async () => {
      await leave(proxyPort)
      counts.left += 1
    }),
  )
  const asking = ['/read', '/proxied'].map((path) =>
    until(async () => {
      await ask(proxyPort, path).then(
        (time) => counts.times.push(time),
        (error: Error) => counts.wrong.push(error.message),
      )
      await pause(5)
    }),
  )
  const restarting = until(async () => {
    await pause(2000)
    await restartUpstream(upstreamPort)
  })
  await Promise.all([...leaving, ...asking, restarting])
}

/** What must come back to where it was. */
async function held(): Promise<Record<string, number>> {
  upstream.closeAllConnections()
  await Promise.all([...open].map(closed))
  await pause(6000) // children that do not heed TERM get KILL after five seconds
  const resources = process.getActiveResourcesInfo()
  const count = (kind: string): number => resources.filter((one) => one === kind).length
  await collectedBytes()
  return {
    descriptors: openDescriptors(),
    files: openFilesIn(directory).length,
    children: count('ProcessWrap'),
    timers: count('Timeout'),
    sockets: count('TCPSocketWrap'),
    heapMegabytes: Math.round(process.memoryUsage().heapUsed / 2 ** 20),
  }
}

/** Starts a server; of its connections only those are kept in mind that are open. */
async function listenOn(listening: Server): Promise<number> {
  listening.on('connection', (socket: Socket) => {
    open.add(socket)
    socket.on('close', () => open.delete(socket))
  })
  listening.listen(0, '127.0.0.1')
  await once(listening, 'listening')
  return (listening.address() as AddressInfo).port
}

mishaps.watch()
const upstreamPort = await listenOn(upstream)
const server = createServer(application(`http://127.0.0.1:${upstreamPort}`))
const port = await listenOn(server)
const counts: Counts = { left: 0, times: [], wrong: [] }
await storm(port, upstreamPort, performance.now() + 3000, counts)
const before = await held()
await storm(port, upstreamPort, performance.now() + MINUTES * 60_000, counts)
const after = await held()
const unhandled = await mishaps.end()
const sorted = counts.times.toSorted((a, b) => a - b)
console.log(
  `${counts.left} clients left; ${sorted.length} were served, 99 % within ${Math.round(sorted.at(sorted.length * 0.99 - 1) ?? 0)} ms`,
)
console.log('while the upstream was away', Object.fromEntries(excused))
console.log('before', before)
console.log('after ', after)
console.log('answered wrong', counts.wrong.slice(0, 10), 'unhandled', unhandled.slice(0, 10))
const slack: Record<string, number> = { descriptors: 5, heapMegabytes: 10 }
const isFlat = Object.entries(after).every(([what, count]) => count <= before[what]! + (slack[what] ?? 0))
process.exitCode = isFlat && counts.wrong.length === 0 && unhandled.length === 0 ? 0 : 1
server.close()
upstream.close()
removeDirectories()
