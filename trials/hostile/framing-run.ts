import { createServer } from 'node:http'
import { attach, bodyCache, maxBytes, passthroughProxy } from 'sluiceway'
import { type Handler, hosts } from '../../test/support/express/hosts.js'
import { closeServers, listen } from '../../test/support/servers/servers.js'
import type { Failures } from './failures.js'
import { framingCases } from './framing-cases.js'
import type { FramingCase } from './framing-message.js'
import { kindOf, type MishapLog } from './mishap-log.js'
import { recordingUpstream, type RecordingUpstream } from './recording-upstream.js'
import { converse } from './sequence-client.js'

/** A proxy with its own upstream, so that what reaches the upstream belongs to the one case under way. */
interface Lane {
  readonly name: string
  readonly port: number
  readonly upstream: RecordingUpstream
}

/** A host, whether with `attach`, and what is in front of the proxy. */
const lanes: readonly { host: string; attaches: boolean; inFront: () => Handler[] }[] = [
  { host: 'Express 5', attaches: false, inFront: () => [] },
  { host: 'bare http', attaches: true, inFront: () => [] },
  { host: 'Express 4', attaches: true, inFront: () => [maxBytes({ limit: '1mb', lingerMs: 100 })] },
  {
    host: 'Express 5',
    attaches: true,
    inFront: () => [maxBytes({ limit: '1mb', lingerMs: 100 }), bodyCache({ memory: 0 })],
  },
]

const PATIENCE_MS = 500
const EXAMPLES = 4

/** Sends framings and heads through the proxy; one message in is at most one message out. */
export class Framings {
  private readonly log: MishapLog
  private readonly failures: Failures
  private bareSeen: string[] = []
  private serial = 0

  constructor(log: MishapLog, failures: Failures) {
    this.log = log
    this.failures = failures
  }

  async run(every: number): Promise<number> {
    const cases = framingCases.filter((_case, index) => index % every === 0)
    const bare = await listen(
      createServer((req, res) => this.noteBare(`${req.method} ${req.url}`, () => res.end())),
    )
    const limits = new Map<FramingCase, { all: number; hidden: number }>()
    for (const one of cases) limits.set(one, await this.limitsOf(one, bare.port))
    // One lane after the other: what would end the process then belongs to the case under way.
    for (const lane of lanes) {
      const started = await startLane(lane)
      for (const one of cases) await this.judge(one, started, limits.get(one)!)
    }
    await closeServers()
    return cases.length * lanes.length
  }

  private noteBare(start: string, done: () => void): void {
    this.bareSeen.push(start)
    done()
  }

  /** How many requests, and how many hidden ones, bare Node finds in a case. */
  private async limitsOf(
    { bytes, most }: FramingCase,
    port: number,
  ): Promise<{ all: number; hidden: number }> {
    this.bareSeen = []
    await send(port, bytes)
    if (most !== undefined) return { all: most, hidden: most - 1 }
    return { all: this.bareSeen.length, hidden: this.bareSeen.filter(isHidden).length }
  }

  private async judge(one: FramingCase, lane: Lane, limit: { all: number; hidden: number }): Promise<void> {
    const { seen, faults } = lane.upstream
    await send(lane.port, one.bytes)
    const messages = seen.splice(0)
    const innocent = await this.innocent(lane)
    const found = [
      ...(messages.length > limit.all ? [`${messages.length} messages out for ${limit.all} in`] : []),
      ...(messages.filter(isHidden).length > limit.hidden ? ['a part of a body became a request'] : []),
      ...faults.splice(0).map((fault) => `the upstream cannot read it: ${fault.slice(0, 80)}`),
      ...(innocent === undefined ? [] : [`an innocent request after it got ${innocent}`]),
      ...this.log.take().map(kindOf),
    ]
    for (const fault of found) this.note(fault, one, lane)
    seen.length = 0
  }

  /** What is wrong with the answer to a request that has nothing to do with any of this. */
  private async innocent({ port }: Lane): Promise<string | undefined> {
    const path = `/innocent/${this.serial++}`
    const { answers } = await converse(
      port,
      [Buffer.from(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)],
      1,
      2000,
    )
    const got = answers.map(({ status, body }) => `${status} ${body}`).join()
    return got === `200 GET ${path} HTTP/1.1` ? undefined : got || 'no answer'
  }

  private note(fault: string, { name, bytes }: FramingCase, lane: Lane): void {
    const kind = fault.replace(/\d{6,}/g, 'N')
    this.failures.count(kind)
    if (this.failures.examplesOf(kind) >= EXAMPLES) return
    const shown = bytes.length > 400 ? `${bytes.slice(0, 200)} … ${bytes.slice(-150)}` : bytes
    this.failures.example(kind, `${lane.name}; ${name}: ${JSON.stringify(shown)}`)
  }
}

function isHidden(start: string): boolean {
  return start.includes('/hidden')
}

async function startLane({ host, attaches, inFront }: (typeof lanes)[number]): Promise<Lane> {
  const upstream = await recordingUpstream()
  const handlers = inFront()
  const app = hosts.find(({ name }) => name === host)!.mount(...handlers, passthroughProxy(upstream.url))
  const server = createServer(app)
  if (attaches) attach(server, app)
  const names = [...(attaches ? ['attach'] : []), ...handlers.map(({ name }) => name), 'passthroughProxy']
  return { name: `${host}, ${names.join(' + ')}`, port: (await listen(server)).port, upstream }
}

/** Sends the bytes and ends; more than enough answers are expected, so that the server says when it is done. */
async function send(port: number, bytes: string): Promise<void> {
  await converse(port, [Buffer.from(bytes, 'latin1')], 0, PATIENCE_MS)
}
