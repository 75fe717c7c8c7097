import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { Express } from 'express'
import { autoFlush, bodyCache, maxBytes, passthroughProxy } from 'sluiceway'
import type { Request } from './hosts.js'
import { load } from './packages.js'

type Middleware = (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void

/** A question to an application: the same with our middlewares in front of it and without. */
export interface Question {
  readonly request: Request
  /** Ours, in front. */
  readonly front: readonly Middleware[]
  /** What handles the request, with or without ours. */
  readonly handle: (app: Express, express: ExpressModule) => unknown
  /** What comes out where that differs from the same application without ours. */
  readonly expected?: string
  /** The hosts that serve it without us. */
  readonly only?: readonly string[]
}

interface Upload {
  readonly filename: string
  readonly createReadStream: () => Readable
}

/** The two versions of Express have these in common. */
export interface ExpressModule {
  (): Express
  json: (options?: object) => Middleware
  urlencoded: (options: object) => Middleware
  raw: (options: object) => Middleware
}

const order = Buffer.from(JSON.stringify({ id: 7, name: 'ü'.repeat(200) }))
const large = Buffer.alloc(300_000, 'x')
const json = { method: 'POST', path: '/', type: 'application/json', body: order }
const bytes = { method: 'POST', path: '/', type: 'application/octet-stream', body: large }

const kept = (): Middleware => bodyCache({ memory: '1kb' })
const echo = (app: Express): unknown => app.use((req, res) => void res.json(req.body))

/** Echoes what it gets. */
const upstream = createServer((req, res) => void req.pipe(res))
upstream.listen(0, '127.0.0.1').unref()
await once(upstream, 'listening')
const upstreamUrl = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`

/** A file as a GraphQL client sends it (graphql-multipart-request-spec). */
const form = [
  ['operations', '{"query":"mutation($file:Upload!){up(file:$file)}","variables":{"file":null}}'],
  ['map', '{"0":["variables.file"]}'],
  ['0"; filename="a.txt', 'x'.repeat(100_000)],
].map(([name, value]) => `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`)
const graphqlUpload = (
  await load<{ default: (options: object) => Middleware }>('graphql-upload/graphqlUploadExpress.mjs')
).default

/** What may come after a body was read: code then asks whether the request is over. */
const outcomes: Readonly<Record<string, (app: Express) => unknown>> = {
  '404': (app) => app,
  'an error': (app) =>
    app.use(() => {
      throw new Error('thrown')
    }),
  'a streamed answer': (app) => app.use((_req, res) => void Readable.from(['in ', 'parts']).pipe(res)),
}

function afterReading(
  read: string,
  handle: (app: Express, express: ExpressModule) => Express,
): Record<string, Question> {
  const asked = Object.entries(outcomes).map(([outcome, answer]): [string, Question] => [
    `${read}, then ${outcome}`,
    {
      request: json,
      front: [autoFlush(), maxBytes('1mb'), kept()],
      handle: (app, express) => answer(handle(app, express)),
    },
  ])
  return Object.fromEntries(asked)
}

export const questions: Readonly<Record<string, Question>> = {
  'GET behind everything': {
    request: { method: 'GET', path: '/' },
    front: [autoFlush(), maxBytes('1mb'), bodyCache()],
    handle: (app) => app.use((_req, res) => void res.send('here')),
  },
  'express.json()': {
    request: json,
    front: [autoFlush(), maxBytes('1mb'), bodyCache()],
    handle: (app, express) => echo(app.use(express.json())),
  },
  'express.urlencoded()': {
    request: { ...json, type: 'application/x-www-form-urlencoded', body: Buffer.from('a=1&b=%C3%BC') },
    front: [bodyCache()],
    handle: (app, express) => echo(app.use(express.urlencoded({ extended: true }))),
  },
  'a body in a file': {
    request: bytes,
    front: [kept()],
    handle: (app, express) =>
      app
        .use(express.raw({ limit: '1mb' }))
        .use((req, res) => void res.send(String((req.body as Buffer).length))),
  },
  'for await (req)': {
    request: bytes,
    front: [kept()],
    handle: (app) =>
      app.use(async (req, res) => {
        let length = 0
        for await (const chunk of req) length += (chunk as Buffer).length
        res.send(String(length))
      }),
  },
  'parsed, then read again by req.bodyCache': {
    request: json,
    front: [bodyCache()],
    handle: (app, express) =>
      app
        .use(express.json())
        .use(async (req, res) => void res.send(String((await req.bodyCache?.json()) !== undefined))),
    expected: '200 true',
  },
  ...afterReading('parsed', (app, express) => app.use(express.json())),
  ...afterReading('parsed by two parsers', (app, express) =>
    app.use(express.json()).use(express.raw({ type: () => true })),
  ),
  ...afterReading('iterated', (app) =>
    app.use(async (req, _res, next) => {
      await text(req)
      next()
    }),
  ),
  'parsed, and malformed': {
    request: { ...json, body: order.subarray(1) },
    front: [kept()],
    handle: (app, express) => app.use(express.json()),
  },
  'empty and parsed, then 404': {
    request: { ...json, body: Buffer.alloc(0) },
    front: [autoFlush(), maxBytes('1mb'), bodyCache()],
    handle: (app, express) => app.use(express.json()),
  },
  rawBody: {
    request: json,
    front: [bodyCache({ rawBody: true })],
    handle: (app) =>
      app.use((req, res) => void res.send(String((req as { rawBody?: Buffer }).rawBody?.length))),
    expected: `200 ${order.length}`,
  },
  passthroughProxy: {
    request: json,
    front: [bodyCache()],
    handle: (app, express) => app.use(express.json()).use(passthroughProxy(upstreamUrl)),
    expected: `200 ${order.toString().slice(0, 80)}`,
  },
  // It holds the response back until the request is over.
  'graphql-upload': {
    request: {
      ...json,
      type: 'multipart/form-data; boundary=b',
      body: Buffer.from(`${form.join('')}--b--\r\n`),
    },
    front: [autoFlush(), maxBytes('1mb'), bodyCache()],
    handle: (app) =>
      app.use(graphqlUpload({ maxFileSize: 1e6 }) as never).use(async (req, res) => {
        const { variables } = req.body as { variables: { file: { promise: Promise<Upload> } } }
        const { filename, createReadStream } = await variables.file.promise
        res.send(`${filename}: ${(await text(createReadStream())).length}`)
      }),
    only: ['node:http'],
  },
  '413 by Content-Length': {
    request: bytes,
    front: [maxBytes('1kb')],
    handle: (app, express) => echo(app.use(express.json())),
    expected: '413 ',
  },
}

/** An application for a question: with ours in front, or bare. */
export function application(express: ExpressModule, question: Question, isBare: boolean): RequestListener {
  const app = express().set('env', 'test').set('etag', false)
  if (!isBare) for (const middleware of question.front) app.use(middleware as never)
  question.handle(app, express)
  return app
}
