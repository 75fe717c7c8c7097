import { buffer, text } from 'node:stream/consumers'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import type { IncomingMessage } from 'node:http'
import { expect } from 'chai'
import { bodyCache, type BodyCacheOptions } from 'sluiceway/body-cache'
import { z } from 'zod'
import { type Handler, hosts } from '../support/hosts.js'
import { closeServers, serve } from '../support/servers.js'

const { mount } = hosts[0]!

/** Sends one body to a server that answers with what `read` made of it, or with the error. */
async function found(
  read: (req: IncomingMessage) => Promise<unknown>,
  body: string | Buffer,
  headers: Record<string, string> = {},
  options: BodyCacheOptions = {},
): Promise<unknown> {
  const handler: Handler = (req, res) => {
    read(req).then(
      (value) => res.end(JSON.stringify({ value })),
      ({ status, type, code, message, issues, body: unparsed }: Record<string, unknown>) =>
        res.end(JSON.stringify({ status, type, code, message, issues, body: unparsed })),
    )
  }
  const { url } = await serve(mount(bodyCache(options), handler))
  const response = await fetch(url, {
    method: 'POST',
    body,
    headers: { 'content-type': 'text/plain', ...headers },
  })
  const answer = (await response.json()) as { value?: unknown }
  return 'value' in answer ? answer.value : answer
}

describe('req.bodyCache', () => {
  afterEach(closeServers)

  it('gives the bytes as they came, a fresh Buffer each time', async () => {
    const read = async (req: IncomingMessage): Promise<unknown> => {
      const first = await req.bodyCache.buffer()
      first.fill(0)
      return (await req.bodyCache.buffer()).toString('hex')
    }
    expect(await found(read, Buffer.from('00ff10', 'hex'))).to.equal('00ff10')
  })

  it('decodes text in the charset of Content-Type, without a byte order mark', async () => {
    const latin = Buffer.from('grüße', 'latin1')
    expect(
      await found((req) => req.bodyCache.text(), latin, { 'content-type': 'text/plain; charset=ISO-8859-1' }),
    ).to.equal('grüße')
    expect(await found((req) => req.bodyCache.text(), '\uFEFFgrüße')).to.equal('grüße')
    expect(await found((req) => req.bodyCache.text(), 'grüße', { 'content-type': 'nonsense;;' })).to.equal(
      'grüße',
    )
  })

  it('refuses a charset that is not known', async () => {
    const error = await found((req) => req.bodyCache.text(), 'a', {
      'content-type': 'text/plain; charset=klingon',
    })
    expect(error).to.include({
      status: 415,
      type: 'charset.unsupported',
      code: 'ERR_SLUICEWAY_CHARSET_UNSUPPORTED',
    })
  })

  it('parses JSON into a fresh object each time', async () => {
    const read = async (req: IncomingMessage): Promise<unknown> => {
      const first = (await req.bodyCache.json()) as { list: number[] }
      first.list.push(4)
      return req.bodyCache.json()
    }
    expect(await found(read, '{"list":[1,2,3]}')).to.deep.equal({ list: [1, 2, 3] })
  })

  it('reports JSON that cannot be parsed as body-parser does', async () => {
    expect(await found((req) => req.bodyCache.json(), '{"a":')).to.include({
      status: 400,
      type: 'entity.parse.failed',
      code: 'ERR_SLUICEWAY_BODY_MALFORMED',
      body: '{"a":',
    })
  })

  for (const poison of ['{"__proto__":{"x":1}}', '{"constructor":{"prototype":{"x":1}}}']) {
    it(`refuses ${poison}`, async () => {
      expect(await found((req) => req.bodyCache.json(), poison)).to.include({ status: 400 })
    })
  }

  it('parses one body as two types', async () => {
    const Order = z.object({ id: z.number() })
    const Audit = z.object({ user: z.string() })
    const read = async (req: IncomingMessage): Promise<unknown> => [
      await req.bodyCache.json(Order),
      await req.bodyCache.json(Audit),
    ]
    expect(await found(read, '{"id":1,"user":"ada"}')).to.deep.equal([{ id: 1 }, { user: 'ada' }])
  })

  it('rejects with the issues of a schema that finds the value invalid', async () => {
    const error = await found((req) => req.bodyCache.json(z.object({ id: z.number() })), '{"id":"x"}')
    expect(error).to.include({ status: 400, code: 'ERR_SLUICEWAY_BODY_INVALID' })
    expect((error as { issues: { path: string[] }[] }).issues[0]!.path).to.deep.equal(['id'])
  })

  it('parses forms with nested keys, and with a schema', async () => {
    expect(await found((req) => req.bodyCache.urlencoded(), 'a[b]=1&a[c]=2&d=%C3%BC')).to.deep.equal({
      a: { b: '1', c: '2' },
      d: 'ü',
    })
    const Form = z.object({ n: z.coerce.number() })
    expect(await found((req) => req.bodyCache.urlencoded(Form), 'n=5')).to.deep.equal({ n: 5 })
  })

  for (const [title, form] of [
    ['too many parameters', 'a&'.repeat(1001)],
    ['keys nested too deep', `a${'[b]'.repeat(40)}=1`],
  ] as const) {
    it(`refuses a form with ${title}`, async () => {
      expect(await found((req) => req.bodyCache.urlencoded(), form)).to.include({ status: 400 })
    })
  }

  it('keeps a key __proto__ of a form from being a prototype', async () => {
    const read = async (req: IncomingMessage): Promise<unknown> => {
      await req.bodyCache.urlencoded()
      return ({} as { polluted?: unknown }).polluted ?? 'clean'
    }
    expect(await found(read, '__proto__[polluted]=1')).to.equal('clean')
  })

  it('parses a multipart form with its files', async () => {
    const read = async (req: IncomingMessage): Promise<unknown> => {
      const form = await req.bodyCache.formData()
      return [form.get('name'), await (form.get('file') as File).text()]
    }
    const form = new FormData()
    form.set('name', 'ada')
    form.set('file', new Blob(['content']), 'a.txt')
    const { url } = await serve(
      mount(bodyCache(), (req, res) => void read(req).then((value) => res.end(JSON.stringify(value)))),
    )
    const response = await fetch(url, { method: 'POST', body: form })
    expect(await response.json()).to.deep.equal(['ada', 'content'])
  })

  it('refuses a multipart form that is cut short', async () => {
    const headers = { 'content-type': 'multipart/form-data; boundary=x' }
    expect(await found((req) => req.bodyCache.formData(), '--x\r\nContent-Disp', headers)).to.include({
      status: 400,
    })
  })

  it('gives a blob and streams of both kinds, each from the start', async () => {
    const read = async (req: IncomingMessage): Promise<unknown> => [
      (await buffer(req.bodyCache.stream())).toString(),
      await text(req.bodyCache.web()),
      await (await req.bodyCache.blob()).text(),
      (await req.bodyCache.blob()).type,
    ]
    expect(await found(read, 'abc')).to.deep.equal(['abc', 'abc', 'abc', 'text/plain'])
  })

  it('tells size and completeness', async () => {
    const read = async (req: IncomingMessage): Promise<unknown> => {
      await req.bodyCache.buffer()
      return [req.bodyCache.size, req.bodyCache.complete]
    }
    expect(await found(read, '12345')).to.deep.equal([5, true])
  })

  describe('with Content-Encoding', () => {
    const codings = {
      gzip: gzipSync('{"a":1}'),
      deflate: deflateSync('{"a":1}'),
      br: brotliCompressSync('{"a":1}'),
    }

    for (const [coding, bytes] of Object.entries(codings)) {
      it(`decodes ${coding} for the accessors and leaves the bytes as they came for everybody else`, async () => {
        const read = async (req: IncomingMessage): Promise<unknown> => [
          await req.bodyCache.json(),
          (await req.bodyCache.buffer()).equals(bytes),
          (await buffer(req)).equals(bytes),
          req.headers['content-encoding'],
        ]
        expect(await found(read, bytes, { 'content-encoding': coding })).to.deep.equal([
          { a: 1 },
          true,
          true,
          coding,
        ])
      })
    }

    it('refuses what would decompress to more than inflateLimit', async () => {
      const bomb = gzipSync(Buffer.alloc(1_000_000))
      const error = await found(
        (req) => req.bodyCache.text(),
        bomb,
        { 'content-encoding': 'gzip' },
        { inflateLimit: '100kb' },
      )
      expect(error).to.include({ status: 413, code: 'ERR_SLUICEWAY_BODY_TOO_LARGE' })
    })

    it('refuses more than one coding and unknown ones', async () => {
      for (const coding of ['gzip, gzip', 'compress', '__proto__']) {
        const error = await found((req) => req.bodyCache.text(), 'abc', { 'content-encoding': coding })
        expect(error).to.include({ status: 415, type: 'encoding.unsupported' })
      }
    })

    it('reports damaged bytes', async () => {
      const error = await found((req) => req.bodyCache.text(), 'no gzip', { 'content-encoding': 'gzip' })
      expect(error).to.include({ status: 400, code: 'ERR_SLUICEWAY_BODY_MALFORMED' })
    })
  })

  describe('without a body', () => {
    it('is empty', async () => {
      const read: Handler = async (req, res) => {
        const { bodyCache: body } = req
        const chunks = [await body.buffer(), await buffer(body.stream())]
        res.end(
          JSON.stringify([
            await body.text(),
            (await body.json()) ?? null,
            body.size,
            body.complete,
            Buffer.concat(chunks).length,
          ]),
        )
      }
      const { url } = await serve(mount(bodyCache(), read))
      expect(await (await fetch(url)).json()).to.deep.equal(['', null, 0, true, 0])
    })

    it('leaves the request readable', async () => {
      const { url } = await serve(
        mount(bodyCache(), (req, res) => void text(req).then((read) => res.end(`[${read}]`))),
      )
      expect(await (await fetch(url)).text()).to.equal('[]')
    })
  })

  it('is refused a wrong option at construction', () => {
    expect(() => bodyCache({ limit: 'banana' })).to.throw(TypeError, 'bodyCache: option "limit"')
    expect(() => bodyCache({ rawBody: 1 } as unknown as BodyCacheOptions)).to.throw(
      TypeError,
      'option "rawBody"',
    )
    expect(() => bodyCache({ limits: 1 } as BodyCacheOptions)).to.throw(TypeError, 'did you mean "limit"?')
    expect(() => bodyCache('1mb' as BodyCacheOptions)).to.throw(
      TypeError,
      'options must be an object, got "1mb"',
    )
    expect(() => bodyCache([] as BodyCacheOptions)).to.throw(TypeError, 'options must be an object')
  })

  it('sets req.rawBody before the next handler with rawBody: true', async () => {
    const answer: Handler = (req, res) => res.end((req as { rawBody?: Buffer }).rawBody)
    const { url } = await serve(mount(bodyCache({ rawBody: true }), answer))
    expect(await (await fetch(url, { method: 'POST', body: 'abc' })).text()).to.equal('abc')
  })
})
