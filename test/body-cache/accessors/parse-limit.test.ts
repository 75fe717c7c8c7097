import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { brotliCompressSync, deflateRawSync, gzipSync } from 'node:zlib'
import { expect } from 'chai'
import { bodyCache, type BodyCacheOptions } from 'sluiceway/body-cache'
import { asChunk, lastChunk, RawClient } from '../../support/clients/raw-client.js'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { accessors, type BodyError, found } from '../reading.js'

const TYPES: Readonly<Record<string, string>> = { 'formData()': 'application/x-www-form-urlencoded' }
const LIMIT = 1000
const whole = Object.entries(accessors).filter(([name]) => !['stream()', 'web()'].includes(name))

const tooLarge = {
  status: 413,
  type: 'entity.too.large',
  code: 'ERR_SLUICEWAY_BODY_TOO_LARGE',
  message: 'request entity too large: more than the parseLimit of 1000 bytes',
  limit: LIMIT,
}

/** A number of `length` digits, which every accessor can read. */
function digits(length: number): string {
  return '1'.repeat(length)
}

/** Starts a server that answers with the number of bytes that `read` returns, or its error, and connects to it. */
async function reading(
  mount: (typeof hosts)[number]['mount'],
  read: (req: IncomingMessage) => Promise<unknown>,
  options: BodyCacheOptions = { parseLimit: LIMIT },
): Promise<RawClient> {
  const answer: Handler = (req, res, next) => {
    read(req).then(() => res.end('read'), next)
  }
  return RawClient.connect((await serve(mount(bodyCache(options), answer))).port)
}

function head(name: string, ...lines: string[]): string {
  const type = `Content-Type: ${TYPES[name] ?? 'text/plain'}`
  return `${['POST / HTTP/1.1', 'Host: a', type, ...lines].join('\r\n')}\r\n\r\n`
}

describe('bodyCache({ parseLimit })', () => {
  afterEach(closeServers)

  for (const [name, access] of whole) {
    it(`lets exactly that many bytes through ${name}, and answers 413 to more`, async () => {
      const headers = { 'content-type': TYPES[name] ?? 'text/plain' }
      const read = async ({ bodyCache: body }: IncomingMessage): Promise<string> => {
        await access(body)
        return 'read'
      }
      expect(await found(read, digits(LIMIT), headers, { parseLimit: LIMIT })).to.equal('read')
      expect(await found(read, digits(LIMIT + 1), headers, { parseLimit: LIMIT })).to.include(tooLarge)
      expect(await found(read, digits(LIMIT + 1), headers, { parseLimit: Infinity })).to.equal('read')
      expect(await found(read, '', headers, { parseLimit: 0 })).to.equal('read')
    })

    for (const { name: host, mount } of hosts) {
      it(`answers 413 from ${name} on ${host} before a byte of 104 MB has arrived`, async () => {
        const client = await reading(mount, ({ bodyCache: body }) => access(body), {})
        client.write(head(name, 'Content-Length: 104000000'))
        const { status, headers } = await client.response()
        expect([status, headers['connection']]).to.deep.equal([413, ['close']])
        client.destroy()
      })

      it(`answers 413 from ${name} on ${host} as soon as the chunks exceed it, without waiting for more`, async () => {
        const client = await reading(mount, ({ bodyCache: body }) => access(body))
        client.write(head(name, 'Transfer-Encoding: chunked'), asChunk(digits(LIMIT)))
        client.write(asChunk('1'))
        expect((await client.response()).status).to.equal(413)
        client.destroy()
      })
    }
  }

  it('is 1 MB by default', async () => {
    const read = async ({ bodyCache: body }: IncomingMessage): Promise<number> => (await body.buffer()).length
    expect(await found(read, digits(1024 * 1024))).to.equal(1024 * 1024)
    expect(await found(read, digits(1024 * 1024 + 1))).to.include({ status: 413, limit: 1024 * 1024 })
  })

  it('refuses a chunked body of which more has already arrived', async () => {
    const client = await reading(hosts[0]!.mount, async (req) => {
      expect(await buffer(req)).to.have.length(LIMIT + 1)
      return req.bodyCache.text()
    })
    client.write(head('text()', 'Transfer-Encoding: chunked'), asChunk(digits(LIMIT + 1)), lastChunk)
    expect((await client.response()).status).to.equal(413)
    client.destroy()
  })

  it('does not apply to req, stream() and web(), which go up to limit even after an accessor has refused the body', async () => {
    const read = async (req: IncomingMessage): Promise<unknown> => {
      const { bodyCache: body } = req
      const refused = await body.json().catch((error: BodyError) => error.status)
      const read3 = [await buffer(body.stream()), await buffer(body.web()), await buffer(req)]
      return [refused, ...read3.map(({ length }) => length)]
    }
    const sizes = [413, 5000, 5000, 5000]
    expect(await found(read, digits(5000), {}, { parseLimit: LIMIT })).to.deep.equal(sizes)
  })

  it('may be higher on one route, which shares the kept body', async () => {
    const small = bodyCache({ parseLimit: LIMIT })
    const large = bodyCache({ parseLimit: '1mb' })
    const read: Handler = async (req, res) => {
      const refused = await req.bodyCache.text().catch((error: BodyError) => error.status)
      large(req, res, () => {
        void req.bodyCache.text().then(({ length }) => res.end(`${refused} ${length}`))
      })
    }
    const { url } = await serve(hosts[0]!.mount(small, read))
    const response = await fetch(url, { method: 'POST', body: digits(5000) })
    expect(await response.text()).to.equal('413 5000')
  })

  it('keeps the connection after the 413 if the rest is small', async () => {
    const client = await reading(hosts[0]!.mount, ({ bodyCache: body }) => body.text())
    const rest = digits(100_000)
    for (let round = 0; round < 2; round += 1) {
      client.write(head('text()', 'Content-Length: 100001'), '1')
      expect((await client.response()).status).to.equal(413)
      client.write(rest)
    }
    client.write(head('text()', 'Content-Length: 1'), '1')
    expect((await client.response()).status).to.equal(200)
    client.destroy()
  })

  it('delivers the 413 to a client that sends 15 MB before it reads', async () => {
    const client = await reading(hosts[1]!.mount, ({ bodyCache: body }) => body.json(), {})
    client.socket.pause()
    client.write(head('json()', 'Transfer-Encoding: chunked'))
    const chunk = asChunk(digits(1024 * 1024))
    for (let sent = 0; sent < 15; sent += 1) client.write(chunk)
    await new Promise<void>((resolve) => void client.socket.write(lastChunk, () => resolve()))
    client.socket.resume()
    expect((await client.response()).status).to.equal(413)
    client.destroy()
  })

  describe('with Content-Encoding', () => {
    const noise = randomBytes(50_000)
    for (const [coding, encode] of [
      ['gzip', gzipSync],
      ['deflate', deflateRawSync],
      ['br', brotliCompressSync],
    ] as const) {
      it(`accepts data that ${coding} makes larger`, async () => {
        const read = async ({ bodyCache: body }: IncomingMessage): Promise<number> => (await body.blob()).size
        expect(encode(noise).length).to.be.above(noise.length)
        const headers = { 'content-encoding': coding }
        expect(await found(read, encode(noise), headers, { parseLimit: noise.length })).to.equal(noise.length)
      })
    }

    it('refuses compressed bytes before they arrive, if they must exceed it when decompressed', async () => {
      const client = await reading(hosts[0]!.mount, ({ bodyCache: body }) => body.text(), {})
      client.write(head('text()', 'Content-Encoding: gzip', 'Content-Length: 1100000'))
      expect((await client.response()).status).to.equal(413)
      client.destroy()
    })

    it('counts the bytes on the wire in buffer()', async () => {
      const bytes = gzipSync(digits(LIMIT * 100))
      const read = ({ bodyCache: body }: IncomingMessage): Promise<unknown> =>
        body.buffer().then(({ length }) => length)
      const headers = { 'content-encoding': 'gzip' }
      expect(await found(read, bytes, headers, { parseLimit: LIMIT })).to.equal(bytes.length)
    })
  })

  for (const { name, mount } of hosts) {
    it(`bounds rawBody on ${name}: a 413, and no handler runs`, async () => {
      let ran = false
      const answer: Handler = (_req, res) => {
        ran = true
        res.end()
      }
      const { port } = await serve(mount(bodyCache({ rawBody: true, parseLimit: LIMIT }), answer))
      const client = await RawClient.connect(port)
      client.write(head('', `Content-Length: ${LIMIT + 1}`))
      expect((await client.response()).status).to.equal(413)
      expect(ran).to.equal(false)
      client.destroy()
    })
  }
})
