import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import type { RequestListener } from 'node:http'
import { PassThrough, type Writable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { expect } from 'chai'
import rawBody from 'raw-body'
import { bodyCache, maxBytes } from 'sluiceway'
import { asChunk, RawClient, type RawResponse } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { turns } from '../support/time/turns.js'
import { type BodyReader, bodyReaders, MULTIPART } from './body-readers.js'

const multipartStart = '--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'

/** Sends 5 bytes, waits for a reader, and then sends the 20 that exceed the limit of 10. Never ends the body. */
async function overflow(
  port: number,
  { type = 'text/plain', reading = turns(1) } = {},
): Promise<RawResponse> {
  const client = await RawClient.connect(port)
  const start = type === MULTIPART ? multipartStart : ''
  client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\nTransfer-Encoding: chunked\r\n\r\n`)
  client.write(asChunk(`${start}01234`))
  await reading
  client.write(asChunk('5'.repeat(20)))
  const response = await client.response()
  await client.closed()
  expect(client.pending.toString('latin1')).to.equal('')
  return response
}

/** Lets a reader reach the limit behind `middlewares`, and returns its errors and the client's response. */
async function meetLimit(
  { read, type }: BodyReader,
  mount: (...handlers: readonly Handler[]) => RequestListener,
  ...middlewares: readonly Handler[]
): Promise<{ errors: unknown[]; response: RawResponse }> {
  const errors: unknown[] = []
  const { promise: reading, resolve: begin } = deferred()
  const upstream = await serve((req, res) => void buffer(req).then(() => res.end(), ignore))
  const reader: Handler = (req, res, next) => {
    const tell = (error: unknown): void => {
      errors.push((error as { code?: string } | undefined)?.code)
      next(error)
    }
    read(req, res, tell, upstream.url)
    setImmediate(begin)
  }
  const { port } = await serve(mount(...middlewares, reader, (_req, res) => res.end('half a body')))
  const response = await overflow(port, { ...(type === undefined ? {} : { type }), reading })
  return { errors, response }
}

function ignore(): void {}

for (const { name, mount } of hosts) {
  describe(`maxBytes on ${name}, when a reader meets the limit in the middle of a chunked body`, () => {
    afterEach(closeServers)

    for (const reader of bodyReaders) {
      const limit = reader.type === MULTIPART ? multipartStart.length + 10 : 10
      for (const [where, middlewares] of [
        ['', [maxBytes(limit)]],
        [' behind bodyCache', [maxBytes(limit), bodyCache()]],
      ] as const) {
        const hides = reader.hidesError === true
        const title = hides ? 'answers' : `gives ${reader.name}${where} the error once, and answers`
        it(`${title} the client of ${reader.name}${where} with one whole 413`, async () => {
          const { errors, response } = await meetLimit(reader, mount, ...middlewares)
          const { status, headers, body } = response
          expect([status, headers['connection']]).to.deep.equal([413, ['close']])
          expect(headers['content-length']).to.deep.equal([String(body.length)])
          expect(body.toString()).to.match(/too large/i)
          if (!hides) expect(errors).to.deep.equal(['ERR_SLUICEWAY_BODY_TOO_LARGE'])
        })
      }
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

    it('closes the destination of a bare pipe() without an error listener, and answers', async () => {
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
      let told: string | undefined
      const readLate: Handler = async (req, _res, next) => {
        // The limit is passed with nobody reading: then a request says 'finish'.
        await new Promise<void>((resolve) => void req.once('finish', resolve))
        rawBody(req).then(
          () => next(),
          (error: { code: string }) => {
            told = error.code
            next(error)
          },
        )
      }
      const { port } = await serve(mount(maxBytes(10), readLate))
      expect((await overflow(port)).status).to.equal(413)
      expect(told).to.equal('ERR_SLUICEWAY_BODY_TOO_LARGE')
    })
  })
}
