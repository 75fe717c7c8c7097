import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { expect } from 'chai'
import compression from 'compression'
import type { RequestHandler } from 'express'
import * as sluiceway from 'sluiceway'
import { StreamingClient } from '../support/clients/streaming-client.js'
import { expressVersions } from '../support/express/express-versions.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { patching, patchWrite, type Write } from './patches.js'
import { StreamServer, type Way } from './streams.js'

/** The copy of the package that `require` loads. */
const commonJs = createRequire(import.meta.url)('sluiceway') as typeof sluiceway
const { autoFlush } = sluiceway

/** One that passes its data on in a later turn of the event loop. */
const delaying: RequestHandler = (_req, res, next) => {
  const { write, end } = res as { write: Write; end: () => void }
  res.write = function delayed(...args: unknown[]) {
    setTimeout(() => write.apply(res, args), 5)
    return true
  } as typeof res.write
  res.end = (() => setTimeout(() => end.call(res), 6)) as unknown as typeof res.end
  next()
}

const arrangements: Record<string, () => RequestHandler[]> = {
  'compression twice, autoFlush between': () => [compression(), autoFlush(), compression()],
  'patched to write later': () => [autoFlush(), compression(), delaying],
  'both copies of the package': () => [autoFlush(), compression(), commonJs.autoFlush()],
}

const keptWrite: Way = (res) => {
  const write = res.write.bind(res) as (text: string) => boolean
  return { send: (text) => write(text), end: () => res.end() }
}

const patchedAfterEachWrite: Way = (res) => ({
  send: (text) => {
    res.write(text)
    patchWrite(res)
  },
  end: () => res.end(),
})

describe('autoFlush', () => {
  afterEach(closeServers)

  for (const { name, express } of expressVersions) {
    describe(`beside other code that patches responses, on ${name}`, () => {
      for (const [arrangement, mount] of Object.entries(arrangements)) {
        it(`delivers each chunk before the next is sent: ${arrangement}`, async () => {
          const streams = await StreamServer.start(express().use(...mount()))
          await streams.pingPong('gzip')
        })
      }

      it('still flushes when a patch is added after the first write', async () => {
        const streams = await StreamServer.start(express().use(autoFlush(), compression()))
        await streams.pingPong('gzip', patchedAfterEachWrite)
      })

      it('still flushes when the handler uses a res.write that it saved before the head', async () => {
        const streams = await StreamServer.start(express().use(autoFlush(), compression()))
        await streams.pingPong('gzip', keptWrite)
      })

      it('still flushes when the response leaves the application where autoFlush is mounted', async () => {
        for (const mount of [
          [autoFlush(), compression()],
          [compression(), autoFlush()],
        ]) {
          const streams = await StreamServer.start(express().use(express().use(...mount)))
          const { response } = await streams.pingPong('gzip')
          expect(response.headers).to.have.property('x-accel-buffering', 'no')
        }
      })

      it('lets other code remove its layer with delete, and add another one', async () => {
        const app = express().use(autoFlush({ sync: true }))
        app.get('/', (_req, res) => {
          for (const method of ['write', 'writeHead'] as const) {
            const removed = (): never => expect.fail(`the removed ${method} was called`)
            res[method] = removed
            Reflect.deleteProperty(res, method)
          }
          res.write('removed, ')
          patchWrite(res)
          res.end('added')
        })
        const { url } = await serve(app)
        const client = await StreamingClient.get(url)
        expect(await client.ended()).to.equal('removed, added')
        expect(client.response.headers).to.include({ 'x-accel-buffering': 'no' })
      })

      it("runs an application's own response methods, including those added later", async () => {
        const app = express()
        const response = app.response as unknown as ServerResponse
        response.writeHead = marking('x-first')
        app.use(autoFlush(), compression())
        const streams = await StreamServer.start(app)
        expect((await streams.pingPong('gzip')).response.headers).to.include({ 'x-first': 'marked' })
        response.writeHead = marking('x-second')
        const { headers } = (await streams.pingPong('gzip')).response
        expect(headers).to.include({ 'x-second': 'marked', 'x-accel-buffering': 'no' })
        expect(headers).not.to.have.property('x-first')
      })

      it('does not touch responses of the same application for which it is not mounted', async () => {
        const app = express()
        app.get('/with', autoFlush({ sync: true }), (_req, res) => void res.json('with'))
        app.get('/without', compression(), patching, (_req, res) => {
          const data = { writable: true, enumerable: true, configurable: true }
          expect(Object.getOwnPropertyDescriptor(res, 'writeHead')).to.include(data)
          expect(Object.getOwnPropertyDescriptor(res, 'write')).to.include(data)
          res.type('text/plain').write('without')
          res.end()
        })
        const { url } = await serve(app)
        expect(await (await StreamingClient.get(`${url}/with`)).ended()).to.equal('"with"')
        const client = await StreamingClient.get(`${url}/without`, 'gzip')
        expect(await client.ended()).to.equal('without')
        expect(client.response.headers).not.to.have.property('x-accel-buffering')
      })

      it('lets other code keep a method of one response for all others', async () => {
        const kept: { writeHead?: ServerResponse['writeHead'] } = {}
        const app = express()
        app.get('/with', autoFlush(), (_req, res) => {
          // oxlint-disable-next-line typescript/unbound-method
          kept.writeHead = res.writeHead
          res.json('with')
        })
        app.get('/without', (_req, res) => {
          kept.writeHead!.call(res, 200)
          res.end('without')
        })
        const { url } = await serve(app)
        expect(await (await StreamingClient.get(`${url}/with`)).ended()).to.equal('"with"')
        const client = await StreamingClient.get(`${url}/without`)
        expect(await client.ended()).to.equal('without')
        expect(client.response.headers).not.to.have.property('x-accel-buffering')
      })

      it("adds no listener for 'drain' to a stream without a compressor", async () => {
        const app = express()
        app.get('/', autoFlush(), (_req, res) => {
          res.type('text/plain').write('listeners: ')
          res.end(String(res.listenerCount('drain')))
        })
        app.get('/unknown', compression(), autoFlush(), (_req, res) => {
          res.set('Content-Encoding', 'identity').write('listeners: ')
          res.end(String(res.listenerCount('drain')))
        })
        const { url } = await serve(app)
        for (const path of ['/', '/unknown'])
          expect(await (await StreamingClient.get(url + path)).ended()).to.equal('listeners: 0')
      })

      it('lets other code list and redefine its methods', async () => {
        const middleware = autoFlush()
        const names = ['write', 'writeHead']
        const handler = (res: ServerResponse): void => {
          const listed: string[] = []
          for (const listedName in res) if (names.includes(listedName)) listed.push(listedName)
          for (const method of [...names, 'flush'] as 'write'[]) {
            for (const owner of [res, Object.getPrototypeOf(res) as ServerResponse]) {
              if (!Object.hasOwn(owner, method)) continue
              Object.defineProperty(owner, method, {
                value: owner[method],
                configurable: true,
                writable: true,
              })
            }
          }
          res.end(listed.toSorted().join())
        }
        const app = express().use(middleware, (_req, res) => handler(res))
        for (const listener of [app, bareListener]) {
          const { url } = await serve(listener)
          expect(await (await StreamingClient.get(url)).ended()).to.equal('write,writeHead')
        }

        function bareListener(req: IncomingMessage, res: ServerResponse): void {
          middleware(req, res, () => handler(res))
        }
      })

      it('leaves an object that inherits from a response alone, also with a layer of its own', async () => {
        for (const options of [{}, { sync: true }]) {
          const app = express().use(autoFlush(options), inheriting)
          for (const listener of [app, bare(autoFlush(options), inheriting)]) {
            const { url } = await serve(listener)
            const client = await StreamingClient.get(url)
            expect([client.response.statusCode, await client.ended()]).to.deep.equal([200, 'its own'])
          }
        }
      })

      it('works in one application with both copies of the package, each on its own route', async () => {
        const app = express()
        app.get('/module', autoFlush(), stream)
        app.get('/common', commonJs.autoFlush(), stream)
        app.get('/later', autoFlush(), commonJs.autoFlush({ proxyBuffering: true }), stream)
        const { url } = await serve(app)
        const buffering: Record<string, unknown> = {}
        for (const path of ['module', 'common', 'later']) {
          const client = await StreamingClient.get(`${url}/${path}`)
          await client.ended()
          buffering[path] = client.response.headers['x-accel-buffering']
        }
        expect(buffering).to.deep.equal({ module: 'no', common: 'no', later: undefined })
      })
    })
  }
})

const stream: RequestHandler = (_req, res) => {
  res.write('streamed')
  res.end()
}

/** Writes a head to objects that inherit from the response, which other code may keep for later. */
const inheriting: RequestHandler = (_req, res) => {
  for (const layered of [false, true]) {
    const heir = Object.create(res) as ServerResponse
    const writeHead = heir.writeHead.bind(heir)
    if (layered) heir.writeHead = (status: number) => writeHead(status)
    heir.writeHead(201)
  }
  setTimeout(() => res.end('its own'), 5)
}

function bare(middleware: RequestHandler, handler: RequestHandler): RequestListener {
  return (req, res) =>
    middleware(req as never, res as never, () => handler(req as never, res as never, () => {}))
}

/** A `writeHead` that adds a header, as an application may define it for all its responses. */
function marking(name: string): ServerResponse['writeHead'] {
  return function writeHead(this: ServerResponse, ...args: unknown[]): ServerResponse {
    this.setHeader(name, 'marked')
    const inherited = Object.getPrototypeOf(Object.getPrototypeOf(this)) as {
      writeHead: () => ServerResponse
    }
    return Reflect.apply(inherited.writeHead, this, args)
  }
}
