import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib'
import { expect } from 'chai'
import compression from 'compression'
import type { RequestHandler, Response } from 'express'
import * as fc from 'fast-check'
import { autoFlush, type AutoFlushOptions } from 'sluiceway'
import { RawClient, type RawResponse } from '../support/clients/raw-client.js'
import { type Express, expressVersions } from '../support/express/express-versions.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { turns } from '../support/time/turns.js'
import { holds } from './property.js'
import { bodyOf } from './wire.js'

/** One step of a handler with a response. */
type Action =
  | {
      readonly does: 'write' | 'write, then wait for drain' | 'end'
      readonly length: number
      readonly as: BufferEncoding | 'buffer'
    }
  | { readonly does: 'flush' | 'cork' | 'uncork' | 'flushHeaders' | 'end without data' }
  | { readonly does: 'wait'; readonly turns: number }

interface Case {
  readonly express: Express
  readonly coding: string
  readonly mount: keyof typeof mounts
  readonly options: AutoFlushOptions
  readonly method: 'GET' | 'HEAD'
  readonly status: number
  readonly contentType: string | undefined
  readonly hasLength: boolean
  readonly writesHead: boolean
  readonly actions: readonly Action[]
}

const mounts = {
  alone: (flush: RequestHandler) => [flush],
  before: (flush: RequestHandler) => [flush, compression({ threshold: 100 })],
  after: (flush: RequestHandler) => [compression({ threshold: 100 }), flush],
}

const decoders: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
  gzip: gunzipSync,
  deflate: inflateSync,
  br: brotliDecompressSync,
}

const data = {
  length: fc.oneof(fc.nat(20), fc.nat(2000), fc.integer({ min: 15_000, max: 40_000 }), fc.nat(200_000)),
  as: fc.constantFrom('buffer' as const, 'utf8' as const, 'latin1' as const, 'hex' as const),
}

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ does: fc.constant('write' as const), ...data }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('write, then wait for drain' as const), ...data }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('wait' as const), turns: fc.nat(3) }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constantFrom('flush', 'cork', 'uncork', 'flushHeaders') }) },
)

const end: fc.Arbitrary<Action> = fc.oneof(
  fc.record({ does: fc.constant('end' as const), ...data }),
  fc.constant({ does: 'end without data' as const }),
)

const cases: fc.Arbitrary<Case> = fc.record({
  express: fc.constantFrom(...expressVersions).map(({ express, name }) =>
    Object.assign(((...given: []) => express(...given)) as unknown as Express, {
      [fc.toStringMethod]: () => name,
    }),
  ),
  coding: fc.constantFrom('identity', 'gzip', 'deflate', 'br'),
  mount: fc.constantFrom('alone', 'before', 'after'),
  options: fc.record({
    coalesce: fc.constantFrom('immediate' as const, 'tick' as const, 1),
    sync: fc.boolean(),
    proxyBuffering: fc.boolean(),
  }),
  method: fc.constantFrom('GET', 'GET', 'GET', 'HEAD'),
  status: fc.constantFrom(200, 200, 200, 404, 204, 304),
  contentType: fc.constantFrom('text/plain', 'text/event-stream', 'image/png', undefined),
  hasLength: fc.boolean(),
  writesHead: fc.boolean(),
  actions: fc.tuple(fc.array(action, { maxLength: 12 }), end).map(([first, last]) => [...first, last]),
})

const passing: RequestHandler = (_req, _res, next) => next()

describe('autoFlush, fuzzed', () => {
  afterEach(closeServers)

  it('changes nothing that a client decodes, and only its two headers in the head of a stream', async function () {
    this.timeout(0)
    let listener: RequestListener
    const { port } = await serve((req, res) => listener(req, res))
    const answered = async (one: Case, flush: RequestHandler): Promise<Seen> => {
      const results: unknown[] = []
      listener = listenerFor(one, flush, results)
      const client = await RawClient.connect(port)
      client.request(one.method, '/', { 'Accept-Encoding': one.coding })
      const response = await client.response({ head: one.method === 'HEAD' })
      // What comes behind would be read as the next answer.
      client.request('GET', '/next')
      expect((await client.response()).body.toString()).to.equal('next')
      client.destroy()
      return { ...seenIn(response), results }
    }
    const check = async (one: Case): Promise<void> => {
      const without = await answered(one, passing)
      const withIt = await answered(one, autoFlush(one.options))
      if (!hasSameBuffer(one)) delete withIt.results
      expect({ results: without.results, ...withIt }).to.deep.equal(without)
    }
    await holds(fc.asyncProperty(cases, check), { runs: 300, milliseconds: 1500 })
  })
})

/** The results for the client and the handler. */
interface Seen {
  readonly status: number
  readonly head: readonly string[]
  readonly body: string
  results?: readonly unknown[]
}

function seenIn({ status, head, headers, body }: RawResponse): Seen {
  const coding = headers['content-encoding']?.[0] ?? 'identity'
  const decoded = body.length === 0 ? body : (decoders[coding]?.(body) ?? body)
  const lines = head
    .split('\r\n')
    .filter((line) => !/^(?:date|x-accel-buffering|x-content-type-options):/i.test(line))
  return { status, head: lines, body: decoded.toString('latin1') }
}

/** The result of `write` depends on how full the buffer is: with the head and its added line, and with bytes not yet sent. */
function hasSameBuffer({ options, actions }: Case): boolean {
  return (
    options.proxyBuffering === true &&
    options.sync === false &&
    !actions.some(({ does }) => does.includes('wait'))
  )
}

function listenerFor(one: Case, flush: RequestHandler, results: unknown[]): RequestListener {
  const app = one.express()
  app.set('env', 'test')
  app.use(...mounts[one.mount](flush))
  app.get('/next', (_req, res) => void res.end('next'))
  app.use((_req, res, next) => {
    run(one, res, results).catch(next)
  })
  return app as RequestListener
}

async function run(one: Case, res: Response, results: unknown[]): Promise<void> {
  if (one.contentType !== undefined) res.setHeader('Content-Type', one.contentType)
  if (one.hasLength) res.setHeader('Content-Length', lengthOf(one))
  res.setHeader('Set-Cookie', ['a=1', 'b=2'])
  if (one.writesHead) res.writeHead(one.status, { 'X-Written': 'yes' })
  else res.status(one.status)
  let corks = 0
  for (const step of one.actions) {
    // What ends corked behind `compression` waits for a 'drain' that never comes, with and without autoFlush.
    if (step.does.startsWith('end')) while (res.writableCorked > 0) res.uncork()
    if (step.does === 'wait') await turns(step.turns)
    else {
      const result = act(res, step)
      results.push(result)
      corks = corksAfter(step, corks)
      // Nothing drains while it is corked.
      const waits = step.does === 'write, then wait for drain' && result === false && corks === 0
      if (waits) await once(res, 'drain')
    }
  }
}

/** The number of corks of the handler: Node also counts those that it sets itself. */
function corksAfter({ does }: Action, before: number): number {
  if (does === 'cork') return before + 1
  return does === 'uncork' ? Math.max(before - 1, 0) : before
}

function lengthOf({ actions }: Case): number {
  return actions.reduce((sum, step) => sum + ('length' in step ? step.length : 0), 0)
}

/** Returns the value that the handler gets. */
function act(res: Response & { flush?: () => void }, step: Exclude<Action, { does: 'wait' }>): unknown {
  switch (step.does) {
    case 'write':
    case 'write, then wait for drain':
      return step.as === 'buffer' ? res.write(bodyOf(step.length)) : res.write(textOf(step), step.as)
    case 'end':
      return (step.as === 'buffer' ? res.end(bodyOf(step.length)) : res.end(textOf(step), step.as)) === res
    case 'end without data':
      return res.end() === res
    case 'flush':
      return res.flush?.()
    case 'uncork':
      // An uncork too many makes Node 22 and later lose chunks that come after it.
      return res.writableCorked > 0 ? res.uncork() : undefined
    default:
      return res[step.does]()
  }
}

function textOf({ length, as }: { readonly length: number; readonly as: BufferEncoding | 'buffer' }): string {
  return bodyOf(length).toString(as === 'buffer' ? 'utf8' : as)
}
