import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { PassThrough, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import busboy from 'busboy'
import { expect } from 'chai'
import multer from 'multer'
import rawBody from 'raw-body'
import { maxBytes } from 'sluiceway/max-bytes'
import { expressVersions } from '../support/express-versions.js'
import { type Handler, hosts } from '../support/hosts.js'
import { asChunk, RawClient, type RawResponse } from '../support/raw-client.js'
import { closeServers, serve } from '../support/servers.js'

const MULTIPART = 'multipart/form-data; boundary=x'
const multipartStart = '--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'

/** What a reader does, and the type of body it wants. It calls `next` with the error it saw. */
interface Reader {
  readonly name: string
  readonly type?: string
  readonly handler: Handler
}

const readers: readonly Reader[] = [
  ...expressVersions.flatMap(({ name, express }) => [
    { name: `${name} json`, type: 'application/json', handler: express.json({ limit: '1mb' }) as Handler },
    { name: `${name} raw`, handler: express.raw({ type: () => true, limit: '1mb' }) as Handler },
    { name: `${name} text`, handler: express.text({ type: () => true, limit: '1mb' }) as Handler },
    {
      name: `${name} urlencoded`,
      type: 'application/x-www-form-urlencoded',
      handler: express.urlencoded({ limit: '1mb' }) as Handler,
    },
  ]),
  { name: 'multer', type: MULTIPART, handler: multer({ storage: multer.memoryStorage() }).any() as Handler },
  {
    name: 'busboy',
    type: MULTIPART,
    handler: (req, _res, next) => {
      const parse = busboy({ headers: req.headers })
      parse.on('file', (_name, file) => file.on('error', () => {}).resume())
      req.pipe(parse.on('error', next))
    },
  },
  rejecting('raw-body', (req) => rawBody(req)),
  rejecting('for await', async (req) => {
    for await (const chunk of req) void chunk
  }),
  rejecting('pipeline', (req) => pipeline(req, new PassThrough().resume())),
  { name: "on('error')", handler: (req, _res, next) => void req.on('error', next).resume() },
]

function rejecting(name: string, read: (req: IncomingMessage) => Promise<unknown>): Reader {
  return { name, handler: (req, _res, next) => void read(req).then(() => next(), next) }
}

/** Sends 5 bytes, waits until the server reads, and then the 20 that pass the limit of 10. */
async function overflow(port: number, type = 'text/plain'): Promise<RawResponse> {
  const client = await RawClient.connect(port)
  const start = type === MULTIPART ? multipartStart : ''
  client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\nTransfer-Encoding: chunked\r\n\r\n`)
  client.write(asChunk(`${start}01234`))
  setImmediate(() => client.write(asChunk('5'.repeat(20))))
  const response = await client.response()
  await client.closed()
  return response
}

for (const { name, mount } of hosts) {
  describe(`maxBytes on ${name}, when a reader meets the limit in the middle of a chunked body`, () => {
    afterEach(closeServers)

    for (const reader of readers) {
      it(`gives ${reader.name} the error once, and the client one whole 413`, async () => {
        const errors: unknown[] = []
        const limit = reader.type === MULTIPART ? multipartStart.length + 10 : 10
        const failing: Handler = (req, res, next) =>
          reader.handler(req, res, (error) => {
            errors.push((error as { code?: string } | undefined)?.code)
            next(error)
          })
        const { port } = await serve(mount(maxBytes(limit), failing))
        const { status, headers } = await overflow(port, reader.type)
        expect([status, headers['connection']]).to.deep.equal([413, ['close']])
        expect(errors).to.deep.equal(['ERR_SLUICEWAY_BODY_TOO_LARGE'])
      })
    }

    it('destroys the destination of a bare pipe() with the error', async () => {
      const destination = new PassThrough()
      const { port } = await serve(
        mount(maxBytes({ limit: 10, lingerMs: 50 }), (req) => void req.pipe(destination.resume())),
      )
      const [[error], { status }] = await Promise.all([once(destination, 'error'), overflow(port)])
      expect((error as { code: string }).code).to.equal('ERR_SLUICEWAY_BODY_TOO_LARGE')
      expect([destination.destroyed, status]).to.deep.equal([true, 413])
    })

    it('closes the destination of a bare pipe() that listens for no error, and answers', async () => {
      let destination: Writable | undefined
      const { port } = await serve(
        mount(maxBytes(10), (req) => {
          destination = req.pipe(createWriteStream('/dev/null'))
        }),
      )
      expect((await overflow(port)).status).to.equal(413)
      expect(destination!.destroyed).to.equal(true)
    })

    it('gives every later reader the same error', async () => {
      const seen: unknown[] = []
      const readInTurn: Handler = async (req, _res, next) => {
        for (const read of [
          () => rawBody(req),
          () => once(req.resume(), 'end'),
          () => pipeline(req, new PassThrough()),
        ]) {
          await read().catch((error: { code: string }) => seen.push(error.code))
        }
        next(Object.assign(new Error('all failed'), { status: 413 }))
      }
      const { port } = await serve(mount(maxBytes(10), readInTurn))
      expect((await overflow(port)).status).to.equal(413)
      expect(seen).to.deep.equal(Array.from({ length: 3 }, () => 'ERR_SLUICEWAY_BODY_TOO_LARGE'))
    })

    it('keeps the error for a reader that begins after the limit was passed', async () => {
      const readLate: Handler = async (req, _res, next) => {
        // Data comes until the tap holds it back: by then the limit of 10 is passed, with nobody reading.
        await new Promise((resolve) => setTimeout(resolve, 50))
        rawBody(req).then(() => next(), next)
      }
      const { port } = await serve(mount(maxBytes(10), readLate))
      expect((await overflow(port)).status).to.equal(413)
    })
  })
}
