import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import { buffer, text } from 'node:stream/consumers'
import { bodyCache } from 'sluiceway/body-cache'
import { expressVersions } from '../support/express-versions.js'
import { serve } from '../support/servers.js'
import { bodies, digestOf, type MatrixBody } from './bodies.js'
import { type Consumer, consumers } from './consumers.js'

export interface MatrixCase {
  readonly express: string
  readonly body: MatrixBody
  readonly framing: 'Content-Length' | 'chunked'
  /** Names of the consumers, in the order they read the one body. */
  readonly readers: readonly Consumer[]
}

export interface MatrixReport {
  readonly passed: number
  readonly total: number
  /** A line for each case that failed. */
  readonly misses: readonly string[]
}

const CONNECTIONS = 12

/** Every list of `length` consumers, for each body they can all read, in both framings, on both Express versions. */
export function casesOf(length: number, sizes: readonly MatrixBody['size'][]): MatrixCase[] {
  return expressVersions.flatMap(({ name }) =>
    bodies
      .filter(({ size }) => sizes.includes(size))
      .flatMap((body) =>
        sequences(consumersOf(body), length).flatMap((readers) =>
          (['Content-Length', 'chunked'] as const).map((framing) => ({
            express: name,
            body,
            framing,
            readers,
          })),
        ),
      ),
  )
}

function consumersOf({ kind }: MatrixBody): Consumer[] {
  return consumers.filter(({ kinds }) => kinds === undefined || kinds.includes(kind))
}

function sequences<Item>(items: readonly Item[], length: number): Item[][] {
  if (length === 0) return [[]]
  return sequences(items, length - 1).flatMap((start) => items.map((item) => [...start, item]))
}

/** Sends one request a case over 12 kept-alive connections and compares what each reader found. */
export async function runMatrix(cases: readonly MatrixCase[]): Promise<MatrixReport> {
  const upstream = await serve((req, res) => {
    void buffer(req).then((bytes) => res.end(digestOf(bytes)))
  })
  const servers = new Map<string, string>()
  for (const { name, express } of expressVersions) {
    const app = express()
    app.use(bodyCache(), (req, res) => {
      answerWithFindings(cases[Number(req.headers['x-case'])]!, req, res, upstream.url)
    })
    servers.set(name, (await serve(app)).url)
  }
  const misses: string[] = []
  const agent = new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS / expressVersions.length })
  const queue = cases.entries()
  const work = async (): Promise<void> => {
    for (const [index, one] of queue) {
      const miss = await missOf(one, index, servers.get(one.express)!, agent)
      if (miss !== undefined) misses.push(miss)
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, work))
  agent.destroy()
  return { passed: cases.length - misses.length, total: cases.length, misses }
}

function answerWithFindings(
  one: MatrixCase,
  req: IncomingMessage,
  res: ServerResponse,
  upstream: string,
): void {
  findings(one.readers, req, res, upstream).then(
    (found) => res.end(JSON.stringify({ found, aborted: req.aborted, socket: req.socket !== null })),
    (error: Error) => res.end(JSON.stringify({ error: error.message })),
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
