import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { PassThrough, type Readable, type Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { Busboy as FastifyBusboy, type BusboyHeaders } from '@fastify/busboy'
import busboy from 'busboy'
import coBody from 'co-body'
import expressFileUpload, { type UploadedFile } from 'express-fileupload'
import { formidable } from 'formidable'
import multer from 'multer'
import multer1 from 'multer1'
import multiparty from 'multiparty'
import rawBody from 'raw-body'
import rawBody2 from 'raw-body2'
import { expressVersions } from '../../test/support/express/express-versions.js'
import { hasNode22Packages, loadNode22 } from '../../test/support/repository/node22.js'
import { bytes, type Consumer, fields } from './consumer.js'

/** A middleware, whatever types of request and response it was written for. */
type Handler = (req: never, res: never, next: (error?: unknown) => void) => unknown

/** What middlewares leave on a request. */
type ParsedMessage = IncomingMessage & { body?: unknown; files?: unknown }

const rawBody4 = hasNode22Packages
  ? (await loadNode22<{ default: typeof rawBody }>('raw-body')).default
  : undefined

const limit = '1mb'
const all = { type: () => true, limit }

/** Whoever makes bytes, text, objects or files of a body. Express 4 parses with body-parser 1, Express 5 with 2. */
export const parsers: readonly Consumer[] = [
  ...expressVersions.flatMap(({ name, express }) => [
    fields(`${name} json`, ['json'], parsing<object>(express.json(all))),
    fields(`${name} urlencoded`, ['form'], parsing<object>(express.urlencoded({ ...all, extended: true }))),
    bytes(`${name} raw`, parsing<Buffer>(express.raw(all))),
    bytes(`${name} text`, parsing<string>(express.text(all))),
  ]),
  bytes('raw-body 2', (req) => rawBody2(req)),
  bytes('raw-body 3', (req) => rawBody(req)),
  ...(rawBody4 === undefined ? [] : [bytes('raw-body 4', (req) => rawBody4(req))]),
  fields('co-body json', ['json'], (req) => coBody.json(req, { limit }) as Promise<object>),
  fields('co-body form', ['form'], (req) => coBody.form(req, { limit }) as Promise<object>),
  bytes('co-body text', (req) => coBody.text(req, { limit }) as Promise<string>),
  fields('multer 1', ['multipart'], uploading(multer1({ storage: multer1.memoryStorage() }).any())),
  fields('multer 2', ['multipart'], uploading(multer({ storage: multer.memoryStorage() }).any())),
  fields('express-fileupload', ['multipart'], uploading(expressFileUpload())),
  fields('busboy', ['form', 'multipart'], (req) => readParts(req, busboy(req), 'close')),
  fields('@fastify/busboy', ['form', 'multipart'], (req) =>
    readParts(req, new FastifyBusboy({ headers: req.headers as BusboyHeaders }), 'finish'),
  ),
  fields('formidable', ['json', 'form', 'multipart'], readWithFormidable),
  fields('multiparty', ['multipart'], readWithMultiparty),
  bytes('bodyCache.buffer()', (req) => req.bodyCache.buffer()),
]

/** Runs a parser on a request that shows no trace of earlier ones. */
async function run(handler: Handler, req: ParsedMessage, res: ServerResponse): Promise<void> {
  delete req.body
  delete req.files
  await new Promise<void>((resolve, reject) => {
    handler(req as never, res as never, (error) => (error === undefined ? resolve() : reject(error)))
  })
}

function parsing<Body>(handler: Handler): (req: ParsedMessage, res: ServerResponse) => Promise<Body> {
  return async (req, res) => {
    await run(handler, req, res)
    return req.body as Body
  }
}

/** multer leaves a list of files, express-fileupload an object of them. */
function uploading(handler: Handler): (req: ParsedMessage, res: ServerResponse) => Promise<object> {
  return async (req, res) => {
    await run(handler, req, res)
    const files = Array.isArray(req.files)
      ? (req.files as Express.Multer.File[]).map(({ fieldname, buffer }) => [fieldname, String(buffer)])
      : Object.entries(req.files as Record<string, UploadedFile>).map(([name, { data }]) => [
          name,
          String(data),
        ])
    return { ...(req.body as object), ...Object.fromEntries(files) }
  }
}

async function readParts(req: IncomingMessage, parse: Writable, end: string): Promise<object> {
  const found = new Map<string, string | Promise<string>>()
  parse.on('field', (name: string, value: string) => found.set(name, value))
  parse.on('file', (name: string, file: Readable) => found.set(name, text(file)))
  req.pipe(parse)
  await once(parse, end)
  return settled(found)
}

async function settled(found: ReadonlyMap<string, string | Promise<string>>): Promise<object> {
  const values: Record<string, string> = {}
  for (const [name, value] of found) values[name] = await value
  return values
}

async function readWithFormidable(req: IncomingMessage): Promise<object> {
  const found = new Map<string, string | Promise<string>>()
  const fileWriteStreamHandler = (): Writable => {
    const file = new PassThrough()
    found.set('value', text(file))
    return file
  }
  const [values] = await formidable({ fileWriteStreamHandler }).parse(req)
  // A list of values for each name of a form, the value itself from JSON.
  for (const [name, value] of Object.entries(values)) found.set(name, String(value))
  return settled(found)
}

async function readWithMultiparty(req: IncomingMessage): Promise<object> {
  const found = new Map<string, string | Promise<string>>()
  const form = new multiparty.Form()
  form.on('field', (name, value) => found.set(name, value))
  form.on('part', (part) => found.set(part.name, text(part)))
  form.parse(req)
  await once(form, 'close')
  return settled(found)
}
