import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { expect } from 'chai'
import * as fc from 'fast-check'
import { bodyCache, maxBytes } from 'sluiceway'
import { digestOf } from '../../trials/matrix/bodies.js'
import { parsers } from '../../trials/matrix/parsers.js'
import { streams } from '../../trials/matrix/streams.js'
import { stops } from '../body-cache/reading-again/stops.js'
import { accessors } from '../body-cache/reading.js'
import { RawClient } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { allClosedIn, emptyDirectory, removeDirectories } from '../support/process/temporary-files.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { turns } from '../support/time/turns.js'
import { holds } from './property.js'
import { bodyLength, bodyOf, type Cuts, cuts, framed, type Framing, framing, writeInParts } from './wire.js'

/** One step of a handler with a request: returns the digest of the bytes read, or undefined if it stopped halfway. */
interface Reading {
  readonly name: string
  readonly read: (req: IncomingMessage, res: ServerResponse) => Promise<string | undefined>
}

const whole: readonly Reading[] = [...streams, ...parsers]
  .filter(({ finds, kinds }) => finds === 'digest' && kinds === undefined)
  .map(({ name, read }) => ({ name, read: (req, res) => read(req, res, '') }))

/** Readings that may run at the same time as others. */
const beside: readonly Reading[] = ['buffer()', 'text()', 'blob()', 'stream()', 'web()'].map((name) => ({
  name,
  read: async ({ bodyCache: kept }) => digestOf(await bytesOf(await accessors[name]!(kept))),
}))

const halfWay: readonly Reading[] = stops.map(([name, stop]) => ({
  name,
  async read(req) {
    await stop(req)
    return undefined
  },
}))

async function bytesOf(found: unknown): Promise<Buffer | string> {
  return found instanceof Blob ? Buffer.from(await found.arrayBuffer()) : (found as Buffer | string)
}

/** Readings that begin at the same time, some turns of the event loop after those before are done. */
interface Step {
  readonly readings: readonly Reading[]
  readonly turns: number
}

/** Of two limits the smaller holds; of two caches, the first. */
type Mounted = 'limit' | 'larger limit' | 'cache' | 'another cache'

interface Case {
  readonly host: (typeof hosts)[number]
  /** What is mounted, in its order. */
  readonly mounted: readonly Mounted[]
  readonly length: number
  /** How far the limit lies above the length. */
  readonly room: number
  readonly memory: number
  readonly framing: Framing
  readonly writes: Cuts
  readonly steps: readonly Step[]
}

function someOf(readings: readonly Reading[], length: fc.ArrayConstraints): fc.Arbitrary<Reading[]> {
  return fc.array(fc.constantFrom(...readings).map(shown), length)
}

/** Makes fast-check print the name. */
function shown(reading: Reading): Reading {
  return { ...reading, [fc.toStringMethod]: () => reading.name } as Reading
}

const readings = fc
  .tuple(someOf([...whole, ...halfWay], { minLength: 1, maxLength: 1 }), someOf(beside, { maxLength: 2 }))
  .map((pair) => pair.flat())

const cases: fc.Arbitrary<Case> = fc.record({
  host: fc.constantFrom(...hosts).map((host) => ({ ...host, [fc.toStringMethod]: () => host.name })),
  mounted: fc
    .shuffledSubarray<Mounted>(['limit', 'larger limit', 'cache', 'another cache'])
    .map((some): Mounted[] => [...new Set<Mounted>([...some, 'limit', 'cache'])]),
  length: bodyLength,
  room: fc.oneof(fc.integer({ min: -2, max: 2 }), fc.integer({ min: -100_000, max: 200_000 })),
  memory: fc.oneof(fc.constant(0), fc.nat(5000), fc.nat(300_000)),
  framing,
  writes: cuts,
  steps: fc.array(fc.record({ readings, turns: fc.nat(5) }), { maxLength: 4 }),
})

describe('maxBytes and bodyCache, fuzzed', () => {
  afterEach(async () => {
    await closeServers()
    removeDirectories()
  })

  it('give every reader the bytes that were sent, or the client a 413 past the limit', async function () {
    this.timeout(0)
    const directory = emptyDirectory()
    let listener: RequestListener
    const { port } = await serve((req, res) => listener(req, res))
    const check = async (one: Case): Promise<void> => {
      const body = bodyOf(one.length)
      const limit = Math.max(0, one.length + one.room)
      const found: string[] = []
      listener = listenerFor(one, limit, directory, found)
      const client = await RawClient.connect(port)
      const { line, bytes } = framed(body, one.framing)
      const head = `POST /body HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\n${line}\r\n\r\n`
      const next = 'GET /next HTTP/1.1\r\nHost: a\r\n\r\n'
      await writeInParts(client, Buffer.concat([Buffer.from(head), bytes, Buffer.from(next)]), one.writes)
      const { status } = await client.response()
      expect(found.filter((digest) => digest !== digestOf(body))).to.deep.equal([])
      expect(status).to.equal(one.length > limit ? 413 : 200)
      if (one.length <= limit) expect((await client.response()).body.toString()).to.equal('/next')
      else {
        expect(found).to.deep.equal([])
        await client.closed()
        expect(client.pending).to.have.length(0)
      }
      client.destroy()
    }
    await holds(fc.asyncProperty(cases, check), { runs: 300, milliseconds: 2500 })
    await allClosedIn(directory)
  })
})

function listenerFor(one: Case, limit: number, directory: string, found: string[]): RequestListener {
  const middlewares: Record<Mounted, () => Handler> = {
    limit: () => maxBytes(limit),
    'larger limit': () => maxBytes(limit + 1000),
    cache: () => bodyCache({ memory: one.memory, directory }),
    'another cache': () => bodyCache({ memory: 1000, directory }),
  }
  const mounted = one.mounted.map((name) => middlewares[name]())
  return one.host.mount(...mounted, (req, res, next) => {
    if (req.url === '/next') res.end('/next')
    else readAll(one, req, res, found).then(() => res.end('read'), next)
  })
}

/** Reads as the case says, and then to the end. Rejects only with the error of the limit. */
async function readAll({ steps, length }: Case, req: IncomingMessage, res: ServerResponse, found: string[]) {
  for (const step of steps) {
    await turns(step.turns)
    // Those that stop half way wait for a first chunk.
    const started = step.readings.filter(
      (reading) => length > 0 || !halfWay.some(({ name }) => name === reading.name),
    )
    const outcomes = await Promise.allSettled(started.map(({ read }) => read(req, res)))
    for (const outcome of outcomes) {
      if (outcome.status === 'fulfilled' && outcome.value !== undefined) found.push(outcome.value)
      if (outcome.status === 'rejected') await expectTooLarge(req, outcome.reason)
    }
  }
  found.push(digestOf(await req.bodyCache.buffer()))
}

/** A reader may fail only if the body itself has failed. */
async function expectTooLarge(req: IncomingMessage, reason: unknown): Promise<void> {
  const failure: unknown = await req.bodyCache.buffer().then(
    () => reason,
    (error: unknown) => error,
  )
  expect(failure).to.include({ code: 'ERR_SLUICEWAY_BODY_TOO_LARGE' })
}
