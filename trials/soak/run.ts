// `npm run soak`: rounds of clients that leave at any phase, for minutes, with others in between that must be served all
// the same. Prints what it counted, and fails where something is left behind or somebody was answered wrong.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { collectedBytes } from '../../test/support/process/memory.js'
import { Mishaps } from '../../test/support/process/mishaps.js'
import { openDescriptors } from '../../test/support/process/open-resources.js'
import { emptyDirectory, openFilesIn, removeDirectories } from '../../test/support/process/temporary-files.js'
import { behave, type Seen } from './behaving.js'
import { serveHttp2 } from './http2.js'
import { application, pause, serveApplication, Upstream } from './servers.js'

const MINUTES = Number(process.env['SLUICEWAY_SOAK_MINUTES'] ?? 10)
const LEAVING_A_ROUND = 2000
const LEAVING_AT_ONCE = 24
const BEHAVING_AT_ONCE = 4
/** The longest that anything may outlive its client: a lingering connection, a child that does not heed TERM. */
const MAX_MS = 10_000

const directory = emptyDirectory()
const mishaps = new Mishaps()
const departures: Record<string, number> = {}

/** 2000 clients leave; the upstream goes every two seconds. */
async function round(ports: readonly [number, number], upstream: Upstream): Promise<Seen> {
  const seen: Seen = { times: [], slowest: '', wrong: new Map(), excused: new Map() }
  let isOver = false
  const behaving = Array.from({ length: BEHAVING_AT_ONCE }, () => behave(ports, upstream, () => isOver, seen))
  const restarting = restart(upstream, () => isOver)
  await leaveAll(ports)
  isOver = true
  await Promise.all([...behaving, restarting])
  return seen
}

async function leaveAll(ports: readonly number[]): Promise<void> {
  const program = new URL('leaving.js', import.meta.url)
  const leaving = fork(program, [...ports, LEAVING_A_ROUND, LEAVING_AT_ONCE].map(String))
  const [[left]] = (await Promise.all([once(leaving, 'message'), once(leaving, 'exit')])) as [
    [typeof departures],
    unknown,
  ]
  for (const [phase, count] of Object.entries(left)) departures[phase] = (departures[phase] ?? 0) + count
}

async function restart(upstream: Upstream, end: () => boolean): Promise<void> {
  while (!end()) {
    await pause(1500)
    await upstream.restart(200)
  }
}

/** What must come back to where it was. */
interface Held {
  readonly descriptors: number
  readonly files: number
  readonly children: number
  readonly timers: number
  readonly sockets: number
  readonly heapMegabytes?: number
}
const slack: Partial<Held> = { descriptors: 5, heapMegabytes: 10 }

async function held(upstream: Upstream): Promise<Held> {
  const end = performance.now() + MAX_MS
  let now: Held
  do {
    upstream.dropConnections()
    await pause(100)
    now = {
      descriptors: openDescriptors(),
      files: openFilesIn(directory).length,
      children: open('ProcessWrap'),
      timers: open('Timeout'),
      sockets: open('TCPSocketWrap'),
    }
  } while (performance.now() < end && now.files + now.children + now.timers + now.sockets > 0)
  await collectedBytes()
  return { ...now, heapMegabytes: Math.round(process.memoryUsage().heapUsed / 2 ** 20) }
}

function open(kind: string): number {
  return process.getActiveResourcesInfo().filter((one) => one === kind).length
}

/** Tells what each connection is about that is still open. Node has no documented list of them. */
function leftConnections(): readonly object[] {
  const handles = Reflect.apply(Reflect.get(process, '_getActiveHandles') as () => unknown[], process, [])
  return handles
    .filter((handle) => handle instanceof Socket)
    .map((socket) => {
      const { localPort, remotePort, bytesRead, bytesWritten, readableFlowing, writableEnded } = socket
      const parser = Reflect.get(socket, 'parser') as { incoming?: IncomingMessage } | null | undefined
      const { method, url } = parser?.incoming ?? {}
      return { localPort, remotePort, bytesRead, bytesWritten, readableFlowing, writableEnded, method, url }
    })
}

function isFlat(before: Held, after: Held): boolean {
  const kinds = Object.keys(after) as (keyof Held)[]
  return kinds.every((kind) => (after[kind] ?? 0) <= (before[kind] ?? 0) + (slack[kind] ?? 0))
}

function percentile(times: readonly number[], share: number): number {
  return Math.round(times.toSorted((a, b) => a - b)[Math.ceil(times.length * share) - 1] ?? Number.NaN)
}

function text(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([what, count]) => `${count} × ${what}`).join(', ') || 'none'
}

mishaps.watch()
const upstream = await Upstream.start()
const app = await serveApplication(application(upstream, directory))
const [http2Server, http2Port] = await serveHttp2(upstream, directory)
const ports = [app.port, http2Port] as const
// The first round fills what is kept for good: pools, caches, compiled code.
await round(ports, upstream)
const before = await held(upstream)
const end = performance.now() + MINUTES * 60_000
const times: number[] = []
let rounds = 0
let isRight = true
while (performance.now() < end) {
  const began = performance.now()
  const { times: own, slowest, wrong, excused } = await round(ports, upstream)
  const seconds = ((performance.now() - began) / 1000).toFixed(1)
  rounds += 1
  times.push(...own)
  isRight &&= wrong.size === 0
  console.log(
    `round ${rounds}: ${LEAVING_A_ROUND} left in ${seconds} s; ${own.length} served right, 99 % within ${percentile(own, 0.99)} ms (slowest: ${slowest});`,
    `wrong: ${text(wrong)}; while the upstream went: ${text(excused)}`,
  )
}
const after = await held(upstream)
if (after.sockets > 0) console.log('left open', leftConnections(), 'on the ports of the application', ports)
const unhandled = await mishaps.end()
console.log(
  `${rounds * LEAVING_A_ROUND} clients left, ${times.length} were served right: half within ${percentile(times, 0.5)} ms, 99 % within ${percentile(times, 0.99)} ms; the upstream went ${upstream.outages} times`,
)
console.log('left', departures)
console.log('held before', before)
console.log('held after ', after)
console.log('unhandled', unhandled.slice(0, 10))
process.exitCode = isRight && times.length > 0 && isFlat(before, after) && unhandled.length === 0 ? 0 : 1
console.log(process.exitCode === 0 ? 'soak: passed' : 'soak: failed')
app.server.close()
http2Server.close()
upstream.close()
removeDirectories()
