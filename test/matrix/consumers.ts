import { once } from 'node:events'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import { PassThrough, Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import * as streamConsumers from 'node:stream/consumers'
import busboy from 'busboy'
import httpProxy from 'http-proxy'
import multer from 'multer'
import rawBody from 'raw-body'
import * as undici from 'undici'
import { expressVersions } from '../support/express-versions.js'
import { digestOf, meaningOf, type MatrixBody } from './bodies.js'

/** One way of reading a request. It resolves to the digest of the bytes, or of the meaning, that it found. */
export interface Consumer {
  readonly name: string
  /** Kinds of body that it can read; all of them where absent. */
  readonly kinds?: readonly MatrixBody['kind'][]
  readonly finds: 'digest' | 'meaning'
  readonly read: (req: IncomingMessage, res: ServerResponse, upstream: string) => Promise<string>
}

type Handler = (req: never, res: never, next: (error?: unknown) => void) => void

const all = { type: () => true, limit: '1mb' }

/** Every consumer of the matrix. */
export const consumers: readonly Consumer[] = [
  ...expressVersions.flatMap(({ name, express }) => [
    parser(`${name} json`, express.json(all), ['json']),
    parser(`${name} urlencoded`, express.urlencoded({ ...all, extended: true }), ['form']),
    bytesOfBody(`${name} raw`, express.raw(all)),
    bytesOfBody(`${name} text`, express.text(all)),
  ]),
  parser('multer', multer().none(), ['multipart']),
  { name: 'busboy', kinds: ['form', 'multipart'], finds: 'meaning', read: readWithBusboy },
  bytes('raw-body', (req) => rawBody(req)),
  bytes("on('data')", readWithData),
  bytes("on('readable')", readWithReadable),
  bytes('setEncoding', readWithEncoding),
  bytes('for await', readWithForAwait),
  bytes('pipe', readWithPipe),
  bytes('pipeline', readWithPipeline),
  bytes('stream/consumers', (req) => streamConsumers.buffer(req)),
  bytes('Readable.toWeb', async (req) =>
    Buffer.from(await new undici.Response(Readable.toWeb(req)).arrayBuffer()),
  ),
  { name: 'http-proxy', finds: 'digest', read: readWithHttpProxy },
  { name: 'http.request', finds: 'digest', read: readWithHttpRequest },
  { name: 'undici.request', finds: 'digest', read: readWithUndici },
  { name: 'fetch', finds: 'digest', read: readWithFetch },
]

function bytes(name: string, read: (req: IncomingMessage) => Promise<Buffer | string>): Consumer {
  return { name, finds: 'digest', read: async (req) => digestOf(await read(req)) }
}

function parser(name: string, handler: Handler, kinds: MatrixBody['kind'][]): Consumer {
  return {
    name,
    kinds,
    finds: 'meaning',
    read: async (req, res) => meaningOf(await bodyFrom(handler, req, res)),
  }
}

function bytesOfBody(name: string, handler: Handler): Consumer {
  return {
    name,
    finds: 'digest',
    read: async (req, res) => digestOf((await bodyFrom(handler, req, res)) as Buffer | string),
  }
}

async function bodyFrom(
  handler: Handler,
  req: IncomingMessage & { body?: unknown },
  res: ServerResponse,
): Promise<unknown> {
  delete req.body
  await new Promise<void>((resolve, reject) => {
    handler(req as never, res as never, (error) => (error === undefined ? resolve() : reject(error)))
  })
  return req.body
}

function readWithBusboy(req: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const fields: Record<string, string> = {}
    const parse = busboy({ headers: req.headers, limits: { fieldSize: 1e6 } })
    parse.on('field', (name, value) => {
      fields[name] = value
    })
    parse.on('close', () => resolve(meaningOf(fields)))
    parse.on('error', reject)
    req.pipe(parse)
  })
}

function readWithData(req: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => resolve(Buffer.concat(chunks)))
    req.on('error', reject)
  })
}

function readWithReadable(req: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    req.on('readable', () => {
      for (let chunk = req.read() as Buffer | null; chunk !== null; chunk = req.read() as Buffer | null) {
        chunks.push(chunk)
      }
    })
    req.on('end', () => resolve(Buffer.concat(chunks)))
    req.on('error', reject)
  })
}

async function readWithEncoding(req: IncomingMessage): Promise<string> {
  let text = ''
  req.setEncoding('utf8')
  req.on('data', (chunk: string) => {
    text += chunk
  })
  await once(req, 'end')
  return text
}

async function readWithForAwait(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of req) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

function readWithPipe(req: IncomingMessage): Promise<Buffer> {
  return streamConsumers.buffer(req.pipe(new PassThrough()))
}

async function readWithPipeline(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  await pipeline(
    req,
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        chunks.push(chunk)
        setImmediate(done)
      },
    }),
  )
  return Buffer.concat(chunks)
}

function readWithHttpProxy(req: IncomingMessage, res: ServerResponse, upstream: string): Promise<string> {
  const proxy = httpProxy.createProxyServer({ target: upstream, selfHandleResponse: true })
  return new Promise((resolve, reject) => {
    proxy.on('proxyRes', (answer) => {
      streamConsumers.text(answer).then(resolve, reject)
    })
    proxy.on('error', reject)
    proxy.web(req, res)
  })
}

function readWithHttpRequest(req: IncomingMessage, _res: ServerResponse, upstream: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = http.request(upstream, { method: 'POST' }, (answer) => {
      streamConsumers.text(answer).then(resolve, reject)
    })
    outgoing.on('error', reject)
    req.pipe(outgoing)
  })
}

async function readWithUndici(req: IncomingMessage, _res: ServerResponse, upstream: string): Promise<string> {
  const { body } = await undici.request(upstream, { method: 'POST', body: req })
  return body.text()
}

async function readWithFetch(req: IncomingMessage, _res: ServerResponse, upstream: string): Promise<string> {
  const init = { method: 'POST', body: req, duplex: 'half' } as unknown as RequestInit
  return (await fetch(upstream, init)).text()
}
