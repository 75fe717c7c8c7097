import { once } from 'node:events'
import http2 from 'node:http2'
import { expect } from 'chai'
import { bodyCache } from 'sluiceway/body-cache'
import { deferred } from '../support/deferred.js'
import { type Handler, hosts } from '../support/hosts.js'
import { closeServers, listen } from '../support/servers.js'

// Express does not support HTTP/2 requests; bare http does.
const { mount } = hosts[0]!
const EVENTS = ['end', 'error', 'close'] as const

describe('bodyCache on HTTP/2', () => {
  afterEach(closeServers)

  /** Sends a body to a handler, and gives the events of the request until shortly after its stream has closed. */
  async function eventsOf(respond: Handler): Promise<string[]> {
    const over = deferred<string[]>()
    const watch: Handler = (req, res, next) => {
      const heard: string[] = []
      for (const event of EVENTS) req.on(event, () => heard.push(event))
      res.on('close', () => setTimeout(() => over.resolve(heard), 20))
      return respond(req, res, next)
    }
    const server = http2.createServer(mount(bodyCache({ memory: 1000 }), watch) as never)
    const { port } = await listen(server as never)
    const session = http2.connect(`http://127.0.0.1:${port}`)
    const stream = session.request({ ':method': 'POST' })
    stream.on('error', () => {}).resume()
    stream.end(Buffer.alloc(300_000))
    const heard = await over.promise
    session.destroy()
    return heard
  }

  it("emits 'close' once on a request that is read before its response", async () => {
    const read: Handler = (req, res) => void req.on('end', () => res.end()).resume()
    expect(
      await eventsOf(
        (req, res, next) =>
          void read(
            req.on('data', () => {}),
            res,
            next,
          ),
      ),
    ).to.deep.equal(['end', 'close'])
  })

  it('is read on after its answer, to its end', async () => {
    const read = deferred<number>()
    const respond: Handler = (req, res) => {
      let received = 0
      req.on('data', (chunk: Buffer) => (received += chunk.length)).on('end', () => read.resolve(received))
      res.end('early')
    }
    const server = http2.createServer(mount(bodyCache({ memory: 1000 }), respond) as never)
    const { port } = await listen(server as never)
    const session = http2.connect(`http://127.0.0.1:${port}`)
    const stream = session.request({ ':method': 'POST' })
    stream.on('error', () => {}).write(Buffer.alloc(1000))
    await once(stream.resume(), 'end')
    stream.end(Buffer.alloc(300_000))
    expect(await read.promise).to.equal(301_000)
    session.destroy()
  })

  it('does not take a stream that was reset for an empty body', async () => {
    const failure = deferred<unknown>()
    const middleware = bodyCache()
    const host: Handler = (req, _res, next) => void req.resume().on('end', () => next())
    const cache: Handler = (req, res) => {
      middleware(req, res, failure.resolve)
    }
    const server = http2.createServer(mount(host, cache) as never)
    const { port } = await listen(server as never)
    const session = http2.connect(`http://127.0.0.1:${port}`)
    const stream = session.request({ ':method': 'POST', 'content-length': '3' })
    stream.on('error', () => {})
    await once(server, 'request')
    stream.close(http2.constants.NGHTTP2_CANCEL)
    expect(await failure.promise).to.include({ code: 'ERR_SLUICEWAY_BODY_ALREADY_READ' })
    session.destroy()
  })

  it("emits 'close' once, and no error, on a request that is not read", async () => {
    expect(await eventsOf((_req, res) => res.end('early'))).to.deep.equal(['close'])
  })
})
