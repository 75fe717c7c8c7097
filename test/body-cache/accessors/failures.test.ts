import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'
import { expect } from 'chai'
import coBody from 'co-body'
import multer from 'multer'
import rawBody from 'raw-body'
import { bodyCache } from 'sluiceway/body-cache'
import { asChunk, lastChunk } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { exchange } from '../exchange.js'
import { accessors, type BodyError, codeOf } from '../reading.js'

// A body that each accessor can read: JSON that is also a form with one key.
const body = '{"a":1}'
const FORM = 'Content-Type: application/x-www-form-urlencoded'
const CHUNKED = 'Transfer-Encoding: chunked'

describe('req.bodyCache, when the request fails or its response has ended', () => {
  afterEach(closeServers)

  for (const [name, access] of Object.entries(accessors)) {
    for (const [coding, headers] of [
      ['', []],
      [', in gzip', ['Content-Encoding: gzip']],
    ] as const) {
      const bytes = coding === '' ? Buffer.from(body) : gzipSync(body)

      it(`${name} reports a client that leaves in the middle${coding}, at once and later`, async () => {
        const { client, req } = await exchange([CHUNKED, FORM, ...headers])
        const reading = access(req.bodyCache).catch((error: BodyError) => error)
        client.write(asChunk(bytes.subarray(0, -1)))
        await once(req, 'data')
        client.destroy()
        expect(await reading).to.include({
          status: 400,
          type: 'request.aborted',
          code: 'ERR_SLUICEWAY_BODY_ABORTED',
        })
        expect(await codeOf(access(req.bodyCache))).to.equal('ERR_SLUICEWAY_BODY_ABORTED')
        expect(req.bodyCache.complete).to.equal(false)
      })

      it(`${name} fails after the response, and says so${coding}`, async () => {
        const { client, req, res } = await exchange([CHUNKED, FORM, ...headers])
        client.write(asChunk(bytes), lastChunk)
        expect(await codeOf(access(req.bodyCache))).to.equal(undefined)
        res.end()
        await once(res, 'close')
        const late = await access(req.bodyCache).catch((error: BodyError) => error)
        expect(late).to.include({
          status: 500,
          type: 'stream.not.readable',
          code: 'ERR_SLUICEWAY_BODY_RELEASED',
        })
        client.destroy()
      })
    }

    it(`${name} ends when the response ends in the middle of the body`, async () => {
      const { client, req, res } = await exchange([CHUNKED, FORM])
      const reading = codeOf(access(req.bodyCache))
      client.write(asChunk(body))
      await once(req, 'data')
      res.end()
      expect(await reading).to.equal('ERR_SLUICEWAY_BODY_RELEASED')
      client.destroy()
    })
  }

  it('gives the listeners of a stream the reason why it ends early', async () => {
    const { client, req, res } = await exchange()
    const failed = new Promise((resolve) => req.bodyCache.stream().on('error', resolve).resume())
    client.write(asChunk('begin'))
    await once(req, 'data')
    res.end()
    expect(await failed).to.have.property('code', 'ERR_SLUICEWAY_BODY_RELEASED')
    client.destroy()
  })

  it('quietly closes streams that have no error listener', async () => {
    const { client, req, res } = await exchange()
    const [stream, web] = [req.bodyCache.stream(), req.bodyCache.web()]
    client.write(asChunk('begin'))
    const reader = web.getReader()
    expect(String(Buffer.from((await reader.read()).value!))).to.equal('begin')
    stream.resume()
    res.end()
    await new Promise<void>((resolve) => void stream.on('close', resolve))
    expect(await codeOf(reader.read())).to.equal('ERR_SLUICEWAY_BODY_RELEASED')
    client.destroy()
  })
})

/** The ways in which a middleware may have read a body before bodyCache. */
const drains: Record<string, (req: IncomingMessage) => Promise<unknown>> = {
  'text(req)': (req) => text(req),
  'req.resume()': (req) => once(req.resume(), 'end'),
  'for await': async (req) => {
    for await (const chunk of req) void chunk
  },
  'setEncoding()': (req) => text(req.setEncoding('utf8')),
  'express.json()': (req) =>
    new Promise<void>((resolve) => {
      const parser = expressVersions[0].express.json({ type: () => true }) as unknown as Handler
      parser(req, {} as never, () => resolve())
    }),
}

const parsers: Record<string, (req: IncomingMessage) => Promise<unknown>> = {
  ...Object.fromEntries(
    expressVersions.flatMap(({ name, express }) =>
      (['json', 'text', 'raw', 'urlencoded'] as const).map((kind) => [
        `${name} ${kind}`,
        (req: IncomingMessage & { body?: unknown }) =>
          new Promise((resolve, reject) => {
            const parser = express[kind]({ type: () => true }) as unknown as Handler
            parser(req, {} as never, (error) => (error === undefined ? resolve(req.body) : reject(error)))
          }),
      ]),
    ),
  ),
  'raw-body': (req) => rawBody(req, 'utf8'),
  'co-body': (req) => coBody.text(req),
  'for await': async (req) => {
    const chunks: Buffer[] = []
    for await (const chunk of req) chunks.push(chunk as Buffer)
    return String(Buffer.concat(chunks))
  },
}

for (const { name, mount } of hosts) {
  describe(`bodyCache on ${name}, after a middleware that has read the body`, () => {
    afterEach(closeServers)

    /** Runs `read` behind it, with or without `req.rawBody`, and answers with what `read` makes of the request. */
    async function behind(
      drain: (req: IncomingMessage) => Promise<unknown>,
      rest: { rawBody?: Buffer },
      read: Handler,
    ): Promise<{ status: number; text: string }> {
      const host: Handler = (req, _res, next) => {
        void drain(req).then(() => next(void Object.assign(req, rest)))
      }
      const { url } = await serve(mount(host, bodyCache(), read))
      const headers = { 'content-type': 'application/x-www-form-urlencoded' }
      const response = await fetch(url, { method: 'POST', body, headers })
      return { status: response.status, text: await response.text() }
    }

    for (const [title, drain] of Object.entries(drains)) {
      it(`gives an error that explains the cause after ${title}`, async () => {
        const { status } = await behind(drain, {}, (_req, res) => res.end('let through'))
        expect(status).to.equal(500)
      })

      it(`uses req.rawBody as the body after ${title}, for every accessor and parser`, async () => {
        const rest = { rawBody: Buffer.from(body) }
        const read: Handler = async (req, res) => {
          const results: unknown[] = []
          for (const access of Object.values(accessors)) results.push(await codeOf(access(req.bodyCache)))
          for (const parse of Object.values(parsers)) results.push(await parse(req))
          res.end(JSON.stringify(results))
        }
        const { text: answer } = await behind(drain, rest, read)
        const parsed = [{ a: 1 }, body, { type: 'Buffer', data: [...Buffer.from(body)] }, { [body]: '' }]
        expect(JSON.parse(answer)).to.deep.equal([
          ...Object.keys(accessors).map(() => null),
          ...parsed,
          ...parsed,
          body,
          body,
          body,
        ])
      })
    }
  })
}

describe('bodyCache, after a middleware that has read the body', () => {
  afterEach(closeServers)

  it('rejects every accessor if the application continues after the error', async () => {
    const outcome = new Promise<unknown>((resolve) => {
      const ignoreError: Handler = async (req, res) => {
        await text(req)
        bodyCache()(req, res, () => {})
        const codes = await Promise.all(
          Object.values(accessors).map((access) => codeOf(access(req.bodyCache))),
        )
        resolve([...new Set(codes)])
        res.end()
      }
      void serve(hosts[0]!.mount(ignoreError)).then(({ url }) => fetch(url, { method: 'POST', body }))
    })
    expect(await outcome).to.deep.equal(['ERR_SLUICEWAY_BODY_ALREADY_READ'])
  })

  it('parses a multipart form from req.rawBody', async () => {
    const host: Handler = (req, _res, next) => {
      void rawBody(req).then((bytes) => next(void Object.assign(req, { rawBody: bytes })))
    }
    const parse = multer({ storage: multer.memoryStorage() }).any() as unknown as Handler
    const answer: Handler = async (req, res) => {
      const { files, bodyCache: cache } = req as IncomingMessage & { files: { buffer: Buffer }[] }
      const file = (await cache.formData()).get('file') as File
      res.end(JSON.stringify([String(files[0]!.buffer), await file.text()]))
    }
    const { url } = await serve(hosts[1]!.mount(host, bodyCache(), parse, answer))
    const form = new FormData()
    form.set('file', new Blob(['content']), 'a.txt')
    const response = await fetch(url, { method: 'POST', body: form })
    expect(await response.json()).to.deep.equal(['content', 'content'])
  })

  it('refuses a req.rawBody over its limit', async () => {
    const host: Handler = (req, _res, next) => {
      void rawBody(req).then((bytes) => next(void Object.assign(req, { rawBody: bytes })))
    }
    const { url } = await serve(
      hosts[0]!.mount(host, bodyCache({ limit: 2 }), (_req, res) => res.end('let through')),
    )
    expect((await fetch(url, { method: 'POST', body })).status).to.equal(413)
  })
})
