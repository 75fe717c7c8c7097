import type { IncomingMessage } from 'node:http'
import { buffer, text } from 'node:stream/consumers'
import { expect } from 'chai'
import { bodyCache, type BodyCacheOptions } from 'sluiceway/body-cache'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'
import { found } from '../reading.js'

const { mount } = hosts[0]!

describe('req.bodyCache', () => {
  afterEach(closeServers)

  it('returns the bytes as they came, in a fresh Buffer each time', async () => {
    const read = async (req: IncomingMessage): Promise<unknown> => {
      const first = await req.bodyCache.buffer()
      first.fill(0)
      return (await req.bodyCache.buffer()).toString('hex')
    }
    expect(await found(read, Buffer.from('00ff10', 'hex'))).to.equal('00ff10')
  })

  it('returns a blob, and streams of both kinds that each begin at the start', async () => {
    const read = async (req: IncomingMessage): Promise<unknown> => [
      (await buffer(req.bodyCache.stream())).toString(),
      await text(req.bodyCache.web()),
      await (await req.bodyCache.blob()).text(),
      (await req.bodyCache.blob()).type,
    ]
    expect(await found(read, 'abc')).to.deep.equal(['abc', 'abc', 'abc', 'text/plain'])
  })

  it('returns a blob without a type for a body without one', async () => {
    const read: Handler = async (req, res) => {
      res.end(JSON.stringify((await req.bodyCache.blob()).type))
    }
    const { url } = await serve(mount(bodyCache(), read))
    const response = await fetch(url, { method: 'POST', body: Buffer.from('abc') })
    expect(await response.json()).to.equal('')
  })

  it('serves every accessor in any order, twice, and all of them at once', async () => {
    const accessors: ((req: IncomingMessage) => Promise<unknown>)[] = [
      ({ bodyCache: body }) => body.json(),
      ({ bodyCache: body }) => body.urlencoded(),
      async ({ bodyCache: body }) => Object.fromEntries(await body.formData()),
      ({ bodyCache: body }) => body.text(),
      async ({ bodyCache: body }) => String(await body.buffer()),
      async ({ bodyCache: body }) => (await body.blob()).text(),
      ({ bodyCache: body }) => text(body.stream()),
      ({ bodyCache: body }) => text(body.web()),
    ]
    // JSON that is a form of one key as well.
    const body = '{"a":"1"}'
    const expected = [{ a: '1' }, { [body]: '' }, { [body]: '' }, body, body, body, body, body]
    const read = async (req: IncomingMessage): Promise<unknown> => {
      const forwards: unknown[] = []
      for (const access of accessors) forwards.push(await access(req))
      const backwards: unknown[] = []
      for (const access of accessors.toReversed()) backwards.unshift(await access(req))
      const atOnce = await Promise.all(accessors.map((access) => access(req)))
      return [forwards, backwards, atOnce]
    }
    const type = { 'content-type': 'application/x-www-form-urlencoded' }
    expect(await found(read, body, type)).to.deep.equal([expected, expected, expected])
  })

  it('reports size and completeness, even after the response has ended', async () => {
    const { promise, resolve } = deferred<unknown>()
    const read: Handler = async (req, res) => {
      await req.bodyCache.buffer()
      const before = [req.bodyCache.size, req.bodyCache.complete]
      res.once('close', () => resolve([before, [req.bodyCache.size, req.bodyCache.complete]]))
      res.end()
    }
    const { url } = await serve(mount(bodyCache(), read))
    await fetch(url, { method: 'POST', body: '12345' })
    expect(await promise).to.deep.equal([
      [5, true],
      [5, true],
    ])
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
      for (const headers of [{}, { 'content-encoding': 'gzip' }]) {
        expect(await (await fetch(url, { headers })).json()).to.deep.equal(['', null, 0, true, 0])
      }
    })

    it('leaves the request readable', async () => {
      const { url } = await serve(
        mount(bodyCache(), (req, res) => void text(req).then((read) => res.end(`[${read}]`))),
      )
      expect(await (await fetch(url)).text()).to.equal('[]')
    })
  })

  it('refuses a wrong option when the middleware is created', () => {
    expect(() => bodyCache({ limit: 'banana' })).to.throw(TypeError, 'bodyCache: option "limit"')
    expect(() => bodyCache({ parseLimit: -1 })).to.throw(RangeError, 'option "parseLimit"')
    expect(() => bodyCache({ rawBody: 1 } as unknown as BodyCacheOptions)).to.throw(
      TypeError,
      'option "rawBody"',
    )
    expect(() => bodyCache({ prototypePoisoning: 'drop' } as unknown as BodyCacheOptions)).to.throw(
      TypeError,
      'option "prototypePoisoning" must be one of "error", "remove", "ignore", got "drop"',
    )
    expect(() => bodyCache({ limitt: 1 } as BodyCacheOptions)).to.throw(TypeError, 'did you mean "limit"?')
    expect(() => bodyCache({ memroy: 1 } as BodyCacheOptions)).to.throw(TypeError, 'did you mean "memory"?')
    expect(() => bodyCache([] as BodyCacheOptions)).to.throw(TypeError, 'options must be an object')
  })
})
