import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import { buffer, text } from 'node:stream/consumers'
import { inspect } from 'node:util'
import { bodyCache } from 'sluiceway/body-cache'
import { expressVersions } from '../../test/support/express/express-versions.js'
import { Mishaps } from '../../test/support/process/mishaps.js'
import { serve, type TestServer } from '../../test/support/servers/servers.js'
import { digestOf } from './bodies.js'
import type { MatrixCase } from './cases.js'
import type { Consumer } from './consumer.js'

export interface MatrixReport {
  readonly passed: number
  readonly total: number
  /** A line for each case that failed, and for whatever went wrong in the process meanwhile. */
  readonly misses: readonly string[]
}

const CONNECTIONS = 12

/** Sends one request a case over 12 kept-alive connections and compares what each reader found. */
export async function runMatrix(cases: readonly MatrixCase[]): Promise<MatrixReport> {
  const mishaps = new Mishaps()
  mishaps.watch()
  const servers = await startServers(cases)
  const agent = new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS / servers.size })
  const misses: string[] = []
  const queue = cases.entries()
  const work = async (): Promise<void> => {
    for (const [index, one] of queue) {
      const miss = await missOf(one, index, servers.get(one.express)!.url, agent)
      if (miss !== undefined) misses.push(miss)
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, work))
  agent.destroy()
  const passed = cases.length - misses.length
  const connections = [...servers.values()].reduce((sum, server) => sum + server.connections.length, 0)
  if (connections > CONNECTIONS)
    misses.push(`${connections} connections were needed in place of ${CONNECTIONS}`)
  for (const mishap of await mishaps.end()) misses.push(inspect(mishap))
  return { passed, total: cases.length, misses }
}

async function startServers(cases: readonly MatrixCase[]): Promise<Map<string, TestServer>> {
  const upstream = await serve((req, res) => {
    buffer(req).then(
      (bytes) => res.setHeader('X-Digest', digestOf(bytes)).end(digestOf(bytes)),
      () => res.destroy(),
    )
  })
  const servers = new Map<string, TestServer>()
  for (const { name, express } of expressVersions) {
    const app = express()
    app.use(bodyCache(), (req, res) => {
      answerWithFindings(cases[Number(req.headers['x-case'])]!, req, res, upstream.url)
    })
    servers.set(name, await serve(app))
  }
  return servers
}

function answerWithFindings(
  one: MatrixCase,
  req: IncomingMessage,
  res: ServerResponse,
  upstream: string,
): void {
  findings(one.readers, req, res, upstream).then(
    (found) => res.end(JSON.stringify({ found, aborted: req.aborted, socket: req.socket !== null })),
    (error: unknown) => res.end(JSON.stringify({ error: String(error) })),
  )
}

async function findings(
  readers: readonly Consumer[],
  req: IncomingMessage,
  res: ServerResponse,
  upstream: string,
): Promise<string[]> {
  const found: string[] = []
  for (const reader of readers) found.push(await reader.read(req, res, upstream))
  return found
}

async function missOf(
  one: MatrixCase,
  index: number,
  url: string,
  agent: http.Agent,
): Promise<string | undefined> {
  const expected = { found: one.readers.map(({ finds }) => one.body[finds]), aborted: false, socket: true }
  const got = await send(one, index, url, agent).catch((error: Error) => `request failed: ${error.message}`)
  if (got === JSON.stringify(expected)) return undefined
  const { express, body, framing, readers } = one
  const names = readers.map(({ name }) => name).join(' then ')
  return `${names} (${express}, ${body.kind}, ${body.size}, ${framing}): ${got.slice(0, 200)}`
}

/** A reader that hangs is a miss, not a run without an end. */
const PATIENCE_MS = 5000

function send({ body, framing }: MatrixCase, index: number, url: string, agent: http.Agent): Promise<string> {
  return new Promise((resolve, reject) => {
    const length = framing === 'Content-Length' ? { 'Content-Length': body.bytes.length } : {}
    const headers = { 'Content-Type': body.contentType, 'X-Case': index, ...length }
    const req = http.request(url, { method: 'POST', agent, headers, timeout: PATIENCE_MS }, (res) => {
      text(res).then(resolve, reject)
    })
    req.on('timeout', () => req.destroy(new Error('no answer')))
    req.on('error', reject)
    // In two writes, so that the second half arrives while the first is being read.
    req.write(body.bytes.subarray(0, body.bytes.length >> 1))
    setImmediate(() => req.end(body.bytes.subarray(body.bytes.length >> 1)))
  })
}
