import type { RequestListener } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { expect } from 'chai'
import * as fc from 'fast-check'
import { autoFlush, bodyCache, maxBytes, passthroughProxy } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { holds } from './property.js'
import { bodyLength, bodyOf } from './wire.js'

type Options = Readonly<Record<string, unknown>>

const size = fc.oneof(
  fc.nat(300_000),
  fc.constantFrom(0, '0b', '1kb', '0.5KB', '100kb', '1 mb', '1.5gb', Number.MAX_SAFE_INTEGER),
)
const milliseconds = fc.constantFrom(0, 1, 2000, 2 ** 31 - 1)
const flag = fc.boolean()

/** The allowed values of each option. */
const allowed: Readonly<Record<string, Readonly<Record<string, fc.Arbitrary<unknown>>>>> = {
  maxBytes: {
    limit: fc.oneof(
      size,
      fc.constant(Infinity),
      size.map((given) => () => given),
    ),
    lingerMs: milliseconds,
    lingerBytes: size,
  },
  bodyCache: {
    limit: size,
    memory: size,
    memoryBudget: size,
    diskBudget: size,
    parseLimit: size,
    directory: fc.constant('/tmp'),
    rawBody: flag,
  },
  autoFlush: {
    coalesce: fc.constantFrom('immediate', 'tick', 1, 20),
    filter: fc.constantFrom(
      () => true,
      () => false,
    ),
    proxyBuffering: flag,
    sync: flag,
    heartbeatMs: milliseconds,
  },
  passthroughProxy: {
    path: fc.constantFrom(
      () => '/',
      (req: { url: string }) => req.url,
    ),
    preserveHost: flag,
    forwarded: fc.constantFrom('auto', 'append', 'replace', false),
    onRequest: fc.constantFrom<(() => unknown)[]>(
      () => {},
      () => Promise.resolve(),
    ),
    onResponse: fc.constant(() => {}),
    rewriteLocation: fc.constantFrom(false, '/base', { '/': '/other' }),
    cookieDomain: fc.constantFrom(false, true, 'a.test', { '*': '' }),
    cookiePath: fc.constantFrom(false, '/base', { '/': '/other' }),
    connectTimeoutMs: fc.constantFrom(0, 2000),
    headersTimeoutMs: fc.constantFrom(0, 2000),
    idleTimeoutMs: fc.constantFrom(0, 2000),
    maxQueue: fc.integer({ min: 1, max: 5 }),
    upgrade: fc.subarray(['websocket', 'TLS/1.0', 'x']),
  },
}

/** Values of any kind that a caller may pass by mistake. */
const anything = fc.oneof(
  fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withNullPrototype: true,
    withSparseArray: true,
  }),
  fc.constantFrom<unknown>(
    null,
    NaN,
    -1,
    1.5,
    2 ** 53,
    2 ** 31,
    '10x',
    'banana',
    '-1kb',
    '1e3',
    '',
    Symbol('s'),
    1n,
  ),
  fc.constantFrom<unknown>(Object.assign([], { 0: 1n }), circular(), () => undefined, Buffer.from('10')),
)

function circular(): object {
  const made: { self?: object } = {}
  made.self = made
  return made
}

const keys = Object.values(allowed).flatMap((of) => Object.keys(of))
const names = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...keys) },
  fc.string(),
  fc.constantFrom('__proto__', 'constructor'),
)
const wrong = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .array(fc.tuple(names, anything), { maxLength: 4 })
      .map((entries) => Object.fromEntries(entries)),
  },
  anything,
)

/** The handler after the middleware: it may answer a part of the body before the rest is refused, or not. */
const handlers: Readonly<Record<string, Handler>> = {
  'a pipe': (req, res) => void req.pipe(res),
  'a reader': (req, res, next) => void buffer(req).then((body) => res.end(body), next),
}

interface Behind {
  readonly host: number
  readonly handler: keyof typeof handlers
}

let upstream = ''
const factories: Readonly<Record<string, (options: never) => Handler>> = {
  maxBytes,
  bodyCache,
  autoFlush,
  passthroughProxy: (options) => passthroughProxy(upstream, options),
}

describe('the options of every middleware, fuzzed', () => {
  let listener: RequestListener
  let port: number
  beforeEach(async () => {
    upstream = (await serve((req, res) => void req.pipe(res))).url
    port = (await serve((req, res) => listener(req, res))).port
  })
  afterEach(closeServers)

  /** Sends a body through a middleware to a handler that sends it back; status 0 where the connection was cut. */
  async function echoed(
    { host, handler }: Behind,
    middleware: Handler,
    body: Buffer,
  ): Promise<{ status: number; body: Buffer }> {
    listener = hosts[host]!.mount(middleware, handlers[handler]!)
    const client = await RawClient.connect(port)
    client.request('POST', '/', {}, body)
    const cut = { status: 0, body: Buffer.alloc(0) }
    const response = await client.response().catch(() => cut)
    client.destroy()
    return response
  }

  const behind = fc.record<Behind>({
    host: fc.nat(hosts.length - 1),
    handler: fc.constantFrom('a pipe', 'a reader'),
  })

  for (const [name, factory] of Object.entries(factories)) {
    const options = allowed[name]!

    it(`${name} accepts every documented option, and serves`, async function () {
      this.timeout(0)
      const required = name === 'maxBytes' ? ['limit'] : []
      const given = fc.record(options, { requiredKeys: required })
      const check = async (at: Behind, settings: Options, length: number): Promise<void> => {
        const body = bodyOf(length)
        const answer = await echoed(at, factory(settings as never), body)
        const refused = at.handler === 'a pipe' ? [413, 503, 0] : [413, 503]
        if (mustRefuse(settings, length)) expect(refused).to.include(answer.status)
        else if (!mayRefuse(settings, length) || !refused.includes(answer.status)) {
          expect([answer.status, answer.body.equals(body)]).to.deep.equal([200, true])
        }
      }
      await holds(fc.asyncProperty(behind, given, bodyLength, check), { runs: 100, milliseconds: 300 })
    })

    it(`${name} refuses any other options with an error that names the option, or serves`, async function () {
      this.timeout(0)
      const check = async (at: Behind, given: unknown): Promise<void> => {
        let middleware: Handler
        try {
          middleware = factory(given as never)
        } catch (error) {
          expect(['TypeError', 'RangeError']).to.include((error as Error).name)
          expect((error as Error).message).to.match(
            new RegExp(`^${name}: (?:option "|unknown option "|options must be |got a request)`),
          )
          return
        }
        const { status } = await echoed(at, middleware, bodyOf(100))
        expect([200, 413, 500, 503]).to.include(status)
      }
      await holds(fc.asyncProperty(behind, wrong, check), { runs: 300, milliseconds: 300 })
    })
  }
})

function mustRefuse(options: Options, length: number): boolean {
  const { limit, memory, memoryBudget, diskBudget, rawBody, parseLimit } = options
  if (rawBody === true && bytesOf(parseLimit, 2 ** 20) < length) return true
  const inMemory = Math.min(bytesOf(memory, 2 ** 20), bytesOf(memoryBudget, 2 ** 28))
  return bytesOf(limit, Infinity) < length || inMemory + bytesOf(diskBudget, Infinity) < length
}

/** A chunk is kept either in memory or on the disk, never in both. */
function mayRefuse({ diskBudget }: Options, length: number): boolean {
  return bytesOf(diskBudget, Infinity) < length
}

function bytesOf(given: unknown, fallback: number): number {
  const value: unknown = typeof given === 'function' ? (given as () => unknown)() : given
  return typeof value === 'string' ? sizes[value]! : ((value as number | undefined) ?? fallback)
}

const sizes: Readonly<Record<string, number>> = {
  '0b': 0,
  '1kb': 1024,
  '0.5KB': 512,
  '100kb': 102_400,
  '1 mb': 2 ** 20,
  '1.5gb': 1.5 * 2 ** 30,
}
