import { Duplex, PassThrough, Readable, Transform } from 'node:stream'
import { TransformStream } from 'node:stream/web'
import zlib from 'node:zlib'
import { expect } from 'chai'
import * as fc from 'fast-check'
import { type BodyTransform, type IncomingResponse, type OutgoingRequest, passthroughProxy } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { expressVersions } from '../support/express/express-versions.js'
import { answer, scriptedUpstream } from '../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { turns } from '../support/time/turns.js'
import { holds } from './property.js'
import { Ends } from './upstream-ends.js'
import { bodyLength, bodyOf, type Cuts, cuts, framed, type Framing, framing, writeInParts } from './wire.js'

/** Transforms that leave the bytes as they are, each in its own rhythm. */
const stages = {
  'one by one': () => new PassThrough({ highWaterMark: 1 }),
  'in halves': () =>
    new Transform({
      transform(chunk: Buffer, _encoding, done) {
        this.push(chunk.subarray(0, chunk.length >> 1))
        this.push(chunk.subarray(chunk.length >> 1))
        done()
      },
    }),
  'a turn later': () =>
    new Transform({ transform: (chunk: Buffer, _encoding, done) => void setImmediate(done, null, chunk) }),
  'all at the end': () => {
    const chunks: Buffer[] = []
    return new Transform({
      transform(chunk: Buffer, _encoding, done) {
        chunks.push(chunk)
        done()
      },
      flush: (done) => done(null, Buffer.concat(chunks)),
    })
  },
  'as strings': () =>
    new Transform({
      readableObjectMode: true,
      transform: (chunk: Buffer, _encoding, done) => done(null, chunk.toString('latin1')),
    }),
  'by an async generator': () =>
    Duplex.from(async function* (source: AsyncIterable<Uint8Array | string>) {
      for await (const chunk of source) yield chunk
    }),
  'by the web': () => new TransformStream<Uint8Array, Uint8Array>(),
  'by the web, a turn later': () =>
    new TransformStream<Uint8Array, Uint8Array>({
      async transform(chunk, controller) {
        await turns(1)
        controller.enqueue(chunk)
      },
    }),
  packed: () => zlib.createGzip(),
} as const

type Stage = keyof typeof stages

/** The stages, and behind each that packs, its opposite. */
function chainOf(names: readonly Stage[]): BodyTransform[] {
  return names.flatMap((name) =>
    name === 'packed' ? [zlib.createGzip(), zlib.createGunzip()] : [stages[name]()],
  )
}

const encoders: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
  '': (bytes) => bytes,
  gzip: (bytes) => zlib.gzipSync(bytes),
  deflate: (bytes) => zlib.deflateSync(bytes),
  br: (bytes) => zlib.brotliCompressSync(bytes, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 } }),
  'gzip, br': (bytes) => zlib.brotliCompressSync(zlib.gzipSync(bytes)),
}

interface Case {
  readonly stages: readonly Stage[]
  readonly coding: string
  /** What the hook does besides. */
  readonly hook:
    | 'sync'
    | 'async'
    | 'waits'
    | 'buffers'
    | 'buffers first'
    | 'replaces'
    | 'replaces by a stream'
  readonly method: 'GET' | 'HEAD'
  readonly version: '1.0' | '1.1'
  readonly end: 'length' | 'chunks' | 'connection'
  readonly length: number
  readonly framing: Framing
  readonly writes: Cuts
}

const cases: fc.Arbitrary<Case> = fc.record({
  stages: fc.array(fc.constantFrom(...(Object.keys(stages) as Stage[])), { maxLength: 4 }),
  coding: fc.constantFrom(...Object.keys(encoders)),
  hook: fc.constantFrom(
    'sync',
    'sync',
    'async',
    'waits',
    'buffers',
    'buffers first',
    'replaces',
    'replaces by a stream',
  ),
  method: fc.constantFrom('GET', 'GET', 'GET', 'HEAD'),
  version: fc.constantFrom('1.1', '1.1', '1.0'),
  end: fc.constantFrom('length', 'chunks', 'connection'),
  length: bodyLength,
  framing,
  writes: cuts,
})

/** Runs the hook of a case, which leaves the bytes of the body as they are in the end. */
async function change(incoming: IncomingResponse, { hook, stages: names, length }: Case): Promise<void> {
  if (hook === 'async') await Promise.resolve()
  if (hook === 'waits') await turns(3)
  incoming.decode()
  if (hook === 'buffers first') await incoming.buffer()
  if (hook === 'replaces') incoming.replace(bodyOf(length))
  if (hook === 'replaces by a stream') incoming.replace(Readable.from([bodyOf(length)]))
  for (const stage of chainOf(names)) incoming.pipeThrough(stage)
  if (hook === 'buffers') await incoming.buffer()
}

const isSync = ({ hook }: Case): boolean => hook === 'sync' || hook === 'replaces'

describe('passthroughProxy and changed bodies, fuzzed', () => {
  afterEach(closeServers)

  for (const { name, express } of expressVersions) {
    it(`sends the output of any transforms, and serves the next request (${name})`, async function () {
      this.timeout(0)
      const upstream = await scriptedUpstream()
      let current: Case | undefined
      const proxy = passthroughProxy(upstream.url, {
        onResponse(incoming) {
          if (current === undefined) return undefined
          const changed = change(incoming, current)
          return isSync(current) ? undefined : changed
        },
      })
      const { port } = await serve(express().use(proxy))
      const ends = new Ends(upstream)
      const check = async (one: Case): Promise<void> => {
        ends.forgetUnfinished()
        current = one
        const client = await RawClient.connect(port)
        client.write(`${one.method} / HTTP/${one.version}\r\nHost: test\r\n\r\n`)
        const connection = await ends.next()
        await connection.untilText('\r\n\r\n')
        await writeInParts(connection, wireOf(one), one.writes)
        if (one.end === 'connection' && one.method === 'GET') connection.socket.end()
        const response = await client.response({ head: one.method === 'HEAD' })
        expect(response.status).to.equal(200)
        if (one.method === 'GET') expect(response.body.equals(bodyOf(one.length))).to.equal(true)
        current = undefined
        if (one.version === '1.0') await client.closed()
        else await expectNext(client, ends)
        client.destroy()
        ends.done()
      }
      await holds(fc.asyncProperty(cases, check), { runs: 200, milliseconds: 1500 })
    })

    it(`sends the output of any transforms of a request (${name})`, async function () {
      this.timeout(0)
      const upstream = await scriptedUpstream()
      let names: readonly Stage[] = []
      const onRequest = (outgoing: OutgoingRequest): void => {
        for (const stage of chainOf(names)) outgoing.pipeThrough(stage)
      }
      const { port } = await serve(express().use(passthroughProxy(upstream.url, { onRequest })))
      const ends = new Ends(upstream)
      const check = async (one: Case): Promise<void> => {
        ends.forgetUnfinished()
        names = one.stages
        const client = await RawClient.connect(port)
        const { line, bytes } = framed(bodyOf(one.length), one.framing)
        const written = writeInParts(
          client,
          Buffer.concat([Buffer.from(`POST / HTTP/1.1\r\nHost: test\r\n${line}\r\n\r\n`), bytes]),
          one.writes,
        )
        const connection = await ends.next()
        const head = await connection.untilText('\r\n\r\n')
        const isChunked = /\r\ntransfer-encoding: chunked\r\n/i.test(head)
        const seen = isChunked ? await connection.chunkedBody() : await connection.bytes(one.length)
        await written
        expect(seen.equals(bodyOf(one.length))).to.equal(true)
        connection.write(answer('taken'))
        expect((await client.response()).body.toString()).to.equal('taken')
        client.destroy()
        ends.done()
      }
      await holds(fc.asyncProperty(cases, check), { runs: 200, milliseconds: 1500 })
    })
  }
})

/** The answer as the upstream writes it. */
function wireOf({ coding, end, framing: how, length, method }: Case): Buffer {
  const body = (encoders[coding] as (bytes: Buffer) => Buffer)(bodyOf(length))
  const { line, bytes } = framed(body, { ...how, chunked: end === 'chunks' })
  const lines = ['HTTP/1.1 200 OK', ...(coding === '' ? [] : [`Content-Encoding: ${coding}`])]
  if (end !== 'connection') lines.push(line)
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`)
  return method === 'HEAD' ? head : Buffer.concat([head, bytes])
}

async function expectNext(client: RawClient, ends: Ends): Promise<void> {
  ends.done()
  client.request('GET', '/next')
  const connection = await ends.next()
  await connection.untilText('\r\n\r\n')
  connection.write(answer('next'))
  expect((await client.response()).body.toString()).to.equal('next')
}
