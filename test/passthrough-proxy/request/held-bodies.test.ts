import type { IncomingMessage } from 'node:http'
import { PassThrough } from 'node:stream'
import { expect } from 'chai'
import { bodyCache, passthroughProxy, type PassthroughProxyOptions, type SluicewayError } from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { closeServers, serve, type TestServer } from '../../support/servers/servers.js'
import { deferred, type Deferred } from '../../support/time/deferred.js'
import { turns } from '../../support/time/turns.js'
import { undiciVersions, type ClosableDispatcher } from '../../support/undici/undici-versions.js'

const PIECES = ['the body ', 'of the client']
const BODY = PIECES.join('')

/** Gives the address of the upstream once the test lets it: until then requests wait for a connection. */
type Lookup = (hostname: string, options: { all?: boolean }, found: (...address: unknown[]) => void) => void

interface Transport {
  readonly name: string
  options(lookup: Lookup): Promise<PassthroughProxyOptions>
}

const agents: ClosableDispatcher[] = []

const transports: readonly Transport[] = [
  { name: 'the built-in client', options: async (lookup) => ({ connect: { lookup } as never }) },
  ...undiciVersions.map(([name, load]) => ({
    name,
    options: async (lookup: Lookup) => {
      const { Agent } = await load()
      const dispatcher = new Agent({ connect: { lookup } as never })
      agents.push(dispatcher)
      return { dispatcher }
    },
  })),
]

/** Readers of the body of a request that waits for a connection. Each is fulfilled once it has done what it does. */
const readers: Record<string, (req: IncomingMessage) => Promise<unknown>> = {
  'resumes it': async (req) => {
    const came = deferred()
    await turns(1)
    req.prependOnceListener('data', () => came.resolve()).resume()
    await came.promise
  },
  'reads it by events': (req) => {
    const { promise, resolve } = deferred()
    req.on('readable', () => {
      while (req.read() !== null);
    })
    req.on('end', () => resolve())
    return promise
  },
  'reads it in a loop': async (req) => {
    for await (const chunk of req.iterator({ destroyOnReturn: false })) if (String(chunk) === '') break
  },
  'takes a part of it in a loop': async (req) => {
    for await (const _chunk of req.iterator({ destroyOnReturn: false })) break
  },
  // It gets nothing before the upstream does.
  'pipes it elsewhere': (req) => {
    req.pipe(new PassThrough()).resume()
    return turns(1)
  },
}

/** The moment at which a reader begins. */
const moments = {
  'before the proxy': (req: IncomingMessage, proxy: () => void, read: () => void) => {
    req.pause()
    read()
    proxy()
  },
  'behind the proxy': (_req: IncomingMessage, proxy: () => void, read: () => void) => {
    proxy()
    read()
  },
}

for (const { name: host, mount } of hosts) {
  for (const transport of transports) {
    describe(`passthroughProxy whose body is read while it waits for a connection (${host}, ${transport.name})`, () => {
      let upstream: TestServer
      let isKnown: Deferred<void>
      beforeEach(async () => {
        upstream = await serve((req, res) => void req.pipe(res))
        isKnown = deferred()
      })
      afterEach(async () => {
        await Promise.all(agents.splice(0).map((agent) => agent.destroy()))
        await closeServers()
      })

      async function start(
        moment: keyof typeof moments,
        reader: (req: IncomingMessage) => Promise<unknown>,
        ...before: readonly Handler[]
      ): Promise<RawClient> {
        const lookup: Lookup = (_hostname, { all }, found) => {
          const address = '127.0.0.1'
          void isKnown.promise.then(() =>
            all === true ? found(null, [{ address, family: 4 }]) : found(null, address, 4),
          )
        }
        const { port } = upstream
        const proxy = passthroughProxy(`http://upstream.test:${port}`, await transport.options(lookup))
        const server = await serve(
          mount(...before, (req, res, next) => {
            const read = (): void => void reader(req).then(() => isKnown.resolve())
            moments[moment](req, () => proxy(req, res, next), read)
          }),
        )
        return RawClient.connect(server.port)
      }

      for (const moment of Object.keys(moments) as (keyof typeof moments)[]) {
        for (const [what, reader] of Object.entries(readers)) {
          it(`sends all of a body that a reader ${moment} ${what}`, async () => {
            const client = await start(moment, reader)
            client.request('POST', '/', {}, PIECES)
            const response = await client.response()
            expect(`${response.status} ${String(response.body)}`).to.equal(`200 ${BODY}`)
          })
        }

        it(`sends a body without a byte that ends after code ${moment} has resumed it`, async () => {
          const client = await start(moment, async (req) => {
            const { promise, resolve } = deferred()
            req.on('end', () => resolve())
            await turns(1)
            req.resume()
            await promise
          })
          client.request('POST', '/', {}, [])
          expect((await client.response()).status).to.equal(200)
        })

        it(`sends all of a body of bodyCache of which an iterator ${moment} has taken a part`, async () => {
          const client = await start(moment, readers['takes a part of it in a loop']!, bodyCache())
          client.request('POST', '/', {}, PIECES)
          expect((await client.response()).body.toString()).to.equal(BODY)
        })
      }
    })
  }
}

/** What happens to the body before it is sent. */
const ways: Record<string, (req: IncomingMessage) => void> = {
  'was sent': () => {},
  'flowed before': (req) => void req.resume(),
}

for (const { name: host, mount } of hosts) {
  describe(`passthroughProxy with a body of bodyCache that is read again after it was sent (${host})`, () => {
    afterEach(closeServers)

    for (const [what, before] of Object.entries(ways)) {
      for (const changes of [false, true]) {
        it(`gives all of it to a later reader of a body that ${what}${changes ? ', through a transform' : ''}`, async () => {
          const upstream = await serve((req, res) => void req.pipe(res))
          const proxy = passthroughProxy(upstream.url, {
            onRequest: (outgoing) => void (changes && outgoing.pipeThrough(new PassThrough())),
            onResponse: async (incoming, req) => {
              let length = 0
              req.on('data', (chunk: Buffer) => (length += chunk.length))
              await new Promise((resolve) => void req.on('end', resolve))
              incoming.headers.set('X-Read-Again', String(length))
            },
          })
          const start: Handler = (req, _res, next) => {
            before(req)
            next()
          }
          const client = await RawClient.connect((await serve(mount(bodyCache(), start, proxy))).port)
          client.request('POST', '/', {}, PIECES)
          const { headers, body } = await client.response()
          expect([headers['x-read-again'], String(body)]).to.deep.equal([[String(BODY.length)], BODY])
        })
      }
    }
  })

  describe(`passthroughProxy whose body is read while its target is looked for (${host})`, () => {
    afterEach(closeServers)

    it('refuses it, and serves the next request of the client', async () => {
      const upstream = await serve((req, res) => void req.pipe(res))
      const errors: SluicewayError[] = []
      const proxy = passthroughProxy(async (req) => {
        await new Promise((resolve) => void req.once('data', resolve))
        return upstream.url
      })
      const handler: Handler = (req, res, next) => {
        if (req.url === '/next') return res.end('next')
        return proxy(req, res, (error) => {
          errors.push(error as SluicewayError)
          next(error)
        })
      }
      const client = await RawClient.connect((await serve(mount(handler))).port)
      client.write('POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n')
      client.write('1\r\na\r\n')
      expect((await client.response()).status).to.equal(500)
      expect(errors[0]).to.have.property('code', 'ERR_SLUICEWAY_BODY_ALREADY_READ')
      client.write('1\r\nb\r\n0\r\n\r\n')
      client.request('GET', '/next')
      expect((await client.response()).body.toString()).to.equal('next')
    })
  })
}
