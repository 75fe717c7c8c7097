import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerOptions } from 'node:http'
import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { finished, pipeline } from 'node:stream/promises'
import { expect } from 'chai'
import rawBody from 'raw-body'
import { attach, passthroughProxy } from 'sluiceway'
import { bodyCache } from 'sluiceway/body-cache'
import { maxBytes } from 'sluiceway/max-bytes'
import { message, upgradeTo } from '../../support/clients/pipelined.js'
import { RawClient } from '../../support/clients/raw-client.js'
import { hostTurns } from '../../support/express/host-turns.js'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { answer, scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, listen, serve } from '../../support/servers/servers.js'

/*
 * A request that announces no body, such as a plain GET, is read by code that is mounted for all requests: one that
 * checks signatures, or an adapter that makes a `Request` of each. It can be read again like one with
 * `Content-Length: 0`, and a request that nobody reads costs nothing.
 */

type Reader = (req: IncomingMessage) => Promise<string>

const readers: Readonly<Record<string, Reader>> = {
  "on('data')": async (req) => {
    let read = ''
    req.on('data', (chunk: Buffer) => (read += String(chunk)))
    await once(req, 'end')
    return read
  },
  'resume()': async (req) => {
    await once(req.resume(), 'end')
    return ''
  },
  'finished()': async (req) => {
    await finished(req.resume())
    return ''
  },
  'for await': (req) => text(req),
  'raw-body': async (req) => String(await rawBody(req)),
  'Readable.toWeb': (req) => new Response(Readable.toWeb(req) as ReadableStream).text(),
  pipeline: async (req) => {
    const copy = new PassThrough()
    const [read] = await Promise.all([text(copy), pipeline(req, copy)])
    return read
  },
  'bodyCache.text()': (req) => req.bodyCache.text(),
}

interface Mounted {
  readonly middlewares: () => readonly Handler[]
  readonly options?: ServerOptions
}

/** With it, Node 24 and later end such a request before the application sees it. */
const optimized = { optimizeEmptyRequests: true } as ServerOptions

/** Ends a request as they do, on each Node. */
const endsEarly: Handler = (req, _res, next) => {
  const { _readableState: state } = req as unknown as { _readableState: Record<string, boolean> }
  for (const name of ['ended', 'endEmitted', 'destroyed', 'closed', 'closeEmitted']) state[name] = true
  Object.assign(req, { _dumped: true })
  next()
}

const mounted: Readonly<Record<string, Mounted>> = {
  'behind bodyCache': { middlewares: () => [bodyCache()] },
  'behind two': { middlewares: () => [bodyCache(), bodyCache()] },
  'behind maxBytes and bodyCache': { middlewares: () => [maxBytes(10), bodyCache()] },
  'behind bodyCache and maxBytes': { middlewares: () => [bodyCache(), maxBytes(10)] },
  'with optimizeEmptyRequests': { middlewares: () => [bodyCache()], options: optimized },
  'after an early end like that': { middlewares: () => [endsEarly, bodyCache()] },
}

/** Reads the request in a middleware, and lets the next one run in the same turn. */
const readWith =
  (read: Reader): Handler =>
  (req, _res, next) =>
    void read(req).then(() => next(), next)

const readTwice: Handler = async (req, res) => {
  for (const read of [readers['raw-body']!, readers["on('data')"]!]) expect(await read(req)).to.equal('')
  res.setHeader('x-read', 'twice')
  // With it, Node keeps a connection over HTTP/1.0.
  res.setHeader('content-length', 0)
  res.end()
}

for (const { name, mount } of hosts) {
  describe(`a request without a body behind bodyCache, on ${name}`, () => {
    afterEach(closeServers)

    for (const [stack, { middlewares, options = {} }] of Object.entries(mounted)) {
      for (const [first, read] of Object.entries(readers)) {
        it(`can be read again by any reader after ${first}, ${stack}`, async () => {
          for (const [second, readAgain] of Object.entries(readers)) {
            const last: Handler = async (req, res) => {
              const found = [await readAgain(req), await readAgain(req)]
              res.end(`${second}: ${found.join('|')}`)
            }
            const server = createServer(options, mount(...middlewares(), readWith(read), last))
            const { url } = await listen(server)
            expect(await (await fetch(url)).text()).to.equal(`${second}: |`)
          }
        })
      }
    }

    for (const version of ['1.0', '1.1']) {
      for (const method of ['GET', 'HEAD', 'DELETE', 'OPTIONS', 'POST']) {
        it(`can be read again if it is a ${method} over HTTP/${version}`, async () => {
          const { port } = await serve(mount(bodyCache(), readWith(readers['raw-body']!), readTwice))
          const client = await RawClient.connect(port)
          client.write(`${method} / HTTP/${version}\r\nHost: a\r\nConnection: keep-alive\r\n\r\n`)
          const { headers } = await client.response({ head: method === 'HEAD' })
          expect(headers['x-read']).to.deep.equal(['twice'])
          client.write(message('GET /'))
          expect((await client.response()).headers['x-read']).to.deep.equal(['twice'])
          client.destroy()
        })
      }
    }

    it('can be read again if it asks for an upgrade, behind attach', async () => {
      const app = mount(bodyCache(), readWith(readers['raw-body']!), readTwice)
      const server = createServer(app)
      attach(server, app)
      const { port } = await listen(server)
      const client = await RawClient.connect(port)
      client.write(upgradeTo('websocket'))
      expect((await client.response()).headers['x-read']).to.deep.equal(['twice'])
      client.destroy()
    })

    for (const [when, turn] of Object.entries(hostTurns)) {
      it(`can be read again if it was read before bodyCache, which is called ${when}`, async () => {
        const host: Handler = (req, _res, next) => void req.on('data', () => {}).on('end', () => turn(next))
        const { url } = await serve(mount(host, bodyCache(), readTwice))
        expect((await fetch(url)).headers.get('x-read')).to.equal('twice')
      })

      it(`can be read again ${when} after its end`, async () => {
        const reader: Handler = (req, _res, next) => void req.on('data', () => {}).on('end', () => turn(next))
        const { url } = await serve(mount(bodyCache(), reader, readTwice))
        expect((await fetch(url)).headers.get('x-read')).to.equal('twice')
      })
    }

    it('can be read if bodyCache is called in a later turn, with optimizeEmptyRequests', async () => {
      const later: Handler = (_req, _res, next) => setImmediate(next)
      const { url } = await listen(createServer(optimized, mount(later, bodyCache(), readTwice)))
      expect((await fetch(url)).headers.get('x-read')).to.equal('twice')
    })

    it('is passed on without a body after it was read, and can be read after the proxy has failed', async () => {
      const upstream = await scriptedUpstream()
      for (const target of [upstream.url, 'http://127.0.0.1:1']) {
        const proxy = passthroughProxy(target) as Handler
        const proxyOrNot: Handler = (req, res, next) => proxy(req, res, () => next())
        const app = mount(bodyCache(), readWith(readers['raw-body']!), proxyOrNot, readTwice)
        const { url } = await serve(app)
        const answered = fetch(url)
        if (target === upstream.url) {
          const connection = await upstream.connection()
          const head = await connection.untilText('\r\n\r\n')
          expect(head).not.to.match(/content-length|transfer-encoding/i)
          connection.write(answer('from upstream'))
          expect(await (await answered).text()).to.equal('from upstream')
        } else expect((await answered).headers.get('x-read')).to.equal('twice')
      }
    })

    it('tells code that waits for it to be over, before and after it was read', async () => {
      const waited: Handler = async (req, res) => {
        const closed = once(req, 'close')
        await readers['raw-body']!(req)
        await closed
        await finished(req)
        await readers['for await']!(req)
        await once(req, 'close')
        res.end('told')
      }
      const { url } = await serve(mount(bodyCache(), waited))
      expect(await (await fetch(url)).text()).to.equal('told')
    })

    it('leaves no listeners to its readers', async () => {
      const last: Handler = async (req, res) => {
        for (let round = 0; round < 12; round += 1) {
          for (const read of Object.values(readers)) await read(req)
        }
        res.end(`${req.listenerCount('error')} ${req.listenerCount('data')}`)
      }
      const { url } = await serve(mount(bodyCache(), last))
      expect(await (await fetch(url)).text()).to.match(/^[0-3] 0$/)
    })

    const unread: Handler = (_req, res) => void res.end()
    for (const [what, last] of Object.entries({
      'answers unread': [unread],
      'answers after its end with the 404 of the host': [],
    })) {
      it(`keeps nothing if the application ${what}`, async () => {
        let seen: IncomingMessage | undefined
        const note: Handler = (req, _res, next) => {
          seen = req
          next()
        }
        const { url } = await serve(mount(note, bodyCache(), ...last))
        await (await fetch(url)).text()
        await new Promise(setImmediate)
        // A request that was kept looks unread.
        expect([seen?.readableEnded, seen?.listenerCount('newListener')]).to.deep.equal([true, 0])
      })
    }
  })
}
