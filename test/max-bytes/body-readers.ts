import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import { PassThrough, Readable, Writable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { Busboy as FastifyBusboy, type BusboyHeaders } from '@fastify/busboy'
import busboy from 'busboy'
import coBody from 'co-body'
import expressFileUpload from 'express-fileupload'
import { formidable } from 'formidable'
import httpProxy from 'http-proxy'
import multer from 'multer'
import multer1 from 'multer1'
import multiparty from 'multiparty'
import rawBody from 'raw-body'
import rawBody2 from 'raw-body2'
import * as undici from 'undici'
import { expressVersions } from '../support/express/express-versions.js'
import type { Handler } from '../support/express/hosts.js'

export const MULTIPART = 'multipart/form-data; boundary=x'

type Next = (error?: unknown) => void

/** A reader of a request's body. */
export interface BodyReader {
  readonly name: string
  /** The type of body it wants, where it does not take any. */
  readonly type?: string
  /** True where it does not pass the error on: only the client's side tells. */
  readonly hidesError?: boolean
  /** Reads, and calls `next` with the error it saw. */
  readonly read: (
    req: IncomingMessage,
    res: ServerResponse,
    next: Next,
    /** URL of a server that takes a body whole before it answers. */
    upstream: string,
  ) => unknown
}

const all = { type: () => true, limit: '1mb' }

/** Every reader that row MB3 of the contract names. */
export const bodyReaders: readonly BodyReader[] = [
  ...expressVersions.flatMap(({ name, express }) => [
    parser(`${name} json`, express.json({ limit: '1mb' }), 'application/json'),
    parser(`${name} raw`, express.raw(all)),
    parser(`${name} text`, express.text(all)),
    parser(
      `${name} urlencoded`,
      express.urlencoded({ limit: '1mb', extended: true }),
      'application/x-www-form-urlencoded',
    ),
  ]),
  rejecting('raw-body 3', (req) => rawBody(req)),
  rejecting('raw-body 2', (req) => rawBody2(req)),
  rejecting('co-body', (req) => coBody.text(req)),
  parser('multer 2', multer({ storage: multer.memoryStorage() }).any(), MULTIPART),
  parser('multer 1', multer1({ storage: multer1.memoryStorage() }).any(), MULTIPART),
  { name: 'busboy', type: MULTIPART, read: readWithBusboy },
  { name: '@fastify/busboy', type: MULTIPART, read: readWithFastifyBusboy },
  { name: 'formidable', type: MULTIPART, read: readWithFormidable },
  { name: 'multiparty', type: MULTIPART, read: readWithMultiparty },
  { ...parser('express-fileupload', expressFileUpload(), MULTIPART), hidesError: true },
  { name: "on('error')", read: (req, _res, next) => req.on('error', next).resume() },
  { name: "on('readable')", read: readWithReadable },
  rejecting('for await', readWithForAwait),
  rejecting('pipeline', (req) => pipeline(req, new PassThrough().resume())),
  rejecting('stream/consumers', (req) => buffer(req)),
  rejecting('Readable.toWeb', (req) => new undici.Response(Readable.toWeb(req)).arrayBuffer()),
  rejecting('undici.request', (req, upstream) => undici.request(upstream, { method: 'POST', body: req })),
  { ...rejecting('fetch', sendWithFetch), hidesError: true },
  { name: 'http.request', read: pipeToHttpRequest },
  { name: 'http-proxy', read: readWithHttpProxy },
]

function parser(name: string, handler: unknown, type?: string): BodyReader {
  const read = handler as Handler
  return { name, ...(type === undefined ? {} : { type }), read: (req, res, next) => read(req, res, next) }
}

function rejecting(
  name: string,
  read: (req: IncomingMessage, upstream: string) => Promise<unknown>,
): BodyReader {
  return {
    name,
    read: (req, _res, next, upstream) => void read(req, upstream).then(() => next(), next),
  }
}

function readWithBusboy(req: IncomingMessage, _res: ServerResponse, next: Next): void {
  const parse = busboy({ headers: req.headers })
  parse.on('file', (_name, file) => file.on('error', () => {}).resume())
  req.pipe(parse.on('error', next))
}

function readWithFastifyBusboy(req: IncomingMessage, _res: ServerResponse, next: Next): void {
  const parse = new FastifyBusboy({ headers: req.headers as BusboyHeaders })
  parse.on('file', (_name, file) => file.on('error', () => {}).resume())
  req.pipe(parse.on('error', next))
}

function readWithFormidable(req: IncomingMessage, _res: ServerResponse, next: Next): void {
  const nowhere = (): Writable => new Writable({ write: (_chunk, _encoding, done) => done() })
  formidable({ fileWriteStreamHandler: nowhere }).parse(req, next)
}

function readWithMultiparty(req: IncomingMessage, _res: ServerResponse, next: Next): void {
  const form = new multiparty.Form()
  form.on('part', (part) => part.on('error', () => {}).resume())
  form.on('error', next)
  form.parse(req)
}

function readWithReadable(req: IncomingMessage, _res: ServerResponse, next: Next): void {
  req.on('readable', () => {
    while (req.read() !== null);
  })
  req.on('error', next)
}

async function readWithForAwait(req: IncomingMessage): Promise<void> {
  for await (const chunk of req) void chunk
}

function sendWithFetch(req: IncomingMessage, upstream: string): Promise<unknown> {
  return fetch(upstream, { method: 'POST', body: req, duplex: 'half' } as unknown as RequestInit)
}

function pipeToHttpRequest(req: IncomingMessage, _res: ServerResponse, next: Next, upstream: string): void {
  req.pipe(http.request(upstream, { method: 'POST' }).on('error', next))
}

function readWithHttpProxy(req: IncomingMessage, res: ServerResponse, next: Next, upstream: string): void {
  httpProxy.createProxyServer({ target: upstream }).web(req, res, {}, next)
}
