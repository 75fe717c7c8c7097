import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import http2 from 'node:http2'
import { finished, Readable, Writable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { expect } from 'chai'
import { bodyCache } from 'sluiceway/body-cache'
import { maxBytes } from 'sluiceway/max-bytes'
import { frameClient } from '../../support/clients/http2-frames.js'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { collectedBytes } from '../../support/process/memory.js'
import { closeServers, listen } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'
import { turns } from '../../support/time/turns.js'
import { type BodyError, codeOf } from '../reading.js'

// Express does not support HTTP/2 requests; bare http does.
const { mount } = hosts[0]!
const EVENTS = ['end', 'error', 'close'] as const

const full = (): Writable =>
  new Writable({ write: (_chunk, _encoding, done) => done(new Error('disk full')) })

/** Ways in which a reader gives up in the middle. Over HTTP/2, neither cuts the connection, as in Node. */
const givenUp: Readonly<Record<string, (req: IncomingMessage) => Promise<unknown>>> = {
  'a failed pipeline': (req) => pipeline(req, full()).catch(() => {}),
  'destroy(error)': (req) => {
    const closed = new Promise((resolve) => req.on('close', resolve).on('error', () => {}))
    req.destroy(new Error('enough'))
    return closed
  },
}

describe('bodyCache on HTTP/2', () => {
  afterEach(closeServers)

  /** Sends a body to a handler. Returns the events of the request until a round trip after its stream has closed. */
  async function eventsOf(respond: Handler): Promise<string[]> {
    const over = deferred()
    const heard: string[] = []
    const watch: Handler = (req, res, next) => {
      for (const event of EVENTS) req.on(event, () => heard.push(event))
      res.on('close', over.resolve)
      return respond(req, res, next)
    }
    const server = http2.createServer(mount(bodyCache({ memory: 1000 }), watch) as never)
    const { port } = await listen(server as never)
    const session = http2.connect(`http://127.0.0.1:${port}`)
    const stream = session.request({ ':method': 'POST' })
    stream.on('error', () => {}).resume()
    stream.end(Buffer.alloc(300_000))
    await over.promise
    await new Promise((resolve) => session.ping(resolve))
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

  it("emits 'close' once on a request whose client leaves in the middle", async () => {
    const over = deferred<string[]>()
    const respond: Handler = (req, res) => {
      const heard: string[] = []
      for (const event of EVENTS) req.on(event, () => heard.push(event))
      req.once('data', () => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR)).on('data', () => {})
      res.on('close', () => void turns(5).then(() => over.resolve(heard.toSorted())))
    }
    const server = http2.createServer(mount(bodyCache(), respond) as never)
    const { port } = await listen(server as never)
    const session = http2.connect(`http://127.0.0.1:${port}`)
    const stream = session.request({ ':method': 'POST', 'content-length': 10 })
    stream.on('error', () => {}).write('1')
    expect(await over.promise).to.deep.equal(['close', 'error'])
    session.destroy()
  })

  /** Answers each request at once, and reads on. `over` is called once its stream is closed, and all has been heard. */
  async function answeringEarly(
    limit: Handler,
  ): Promise<{ port: number; heard: string[]; over: Promise<void> }> {
    const heard: string[] = []
    const { promise: over, resolve } = deferred()
    const respond: Handler = (req, res) => {
      for (const event of EVENTS) req.on(event, () => heard.push(event))
      res.on('close', () => void turns(5).then(resolve))
      req.on('data', () => {})
      res.end('early')
    }
    const { port } = await listen(http2.createServer(mount(limit, respond) as never) as never)
    return { port, heard, over }
  }

  for (const [name, limit] of [
    ['maxBytes', maxBytes(3)],
    ['bodyCache', bodyCache({ limit: 3 })],
  ] as const) {
    it(`emits 'error', and then 'close' once, for a body that passes its limit after its answer: ${name}`, async () => {
      const { port, heard, over } = await answeringEarly(limit)
      const session = http2.connect(`http://127.0.0.1:${port}`)
      const stream = session.request({ ':method': 'POST' })
      stream.on('error', () => {}).write('1')
      await once(stream.resume(), 'response')
      stream.end('234')
      await over
      expect(heard).to.deep.equal(['error', 'close'])
      session.destroy()
    })
  }

  it("emits 'close' once if its client resets it without an error while it is read on after its answer", async () => {
    const { port, heard, over } = await answeringEarly(bodyCache())
    const { session, stream, reset } = await frameClient(port, { 'content-length': 10 })
    stream.write('1')
    await once(stream.resume(), 'end')
    reset(http2.constants.NGHTTP2_NO_ERROR)
    await over
    expect(heard.filter((event) => event === 'close')).to.have.length(1)
    session.destroy()
  })

  it('is read as by Node if the application gives it another stream state', async () => {
    const respond: Handler = (req, res) => {
      const { _readableState } = new Readable() as unknown as { _readableState: object }
      Object.assign(req, { _readableState })
      void text(req).then((body) => res.end(body))
    }
    const server = http2.createServer(mount(bodyCache(), respond) as never)
    const { port } = await listen(server as never)
    const session = http2.connect(`http://127.0.0.1:${port}`)
    const stream = session.request({ ':method': 'POST' })
    stream.end('body')
    expect(await text(stream)).to.equal('body')
    session.destroy()
  })

  it('is complete once its body has come whole', async () => {
    const complete: boolean[] = []
    const respond: Handler = (req, res) => {
      const note = (): unknown => complete.push(req.complete)
      note()
      req
        .on('data', () => {})
        .on('end', note)
        .on('end', () => setImmediate(() => void (note(), res.end())))
    }
    const server = http2.createServer(mount(bodyCache(), respond) as never)
    const { port } = await listen(server as never)
    for (const length of [0, 10, 300_000]) {
      const session = http2.connect(`http://127.0.0.1:${port}`)
      await once(session.request({ ':method': 'POST' }).end(Buffer.alloc(length)).resume(), 'end')
      session.destroy()
    }
    expect(complete).to.deep.equal([false, true, true, false, true, true, false, true, true])
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

  it('ends for code that waits for it, as in Node, if it is answered after its first bytes', async () => {
    for (const middlewares of [[], [bodyCache()]]) {
      const over = deferred<unknown>()
      const respond: Handler = (req, res) => {
        finished(req, over.resolve)
        req.once('data', () => {
          req.removeAllListeners('data')
          req.pause()
          res.end('early')
        })
      }
      const server = http2.createServer(mount(...middlewares, respond) as never)
      const session = http2.connect(`http://127.0.0.1:${(await listen(server as never)).port}`)
      session.request({ ':method': 'POST' }).resume().end('body')
      expect(await over.promise).to.equal(undefined)
      session.destroy()
    }
  })

  it('is not held by its session once a reader that is slower than its client has had it', async () => {
    const read = deferred()
    let held: WeakRef<IncomingMessage>
    const respond: Handler = (req, res) => {
      held = new WeakRef(req)
      req.on('data', () => req.pause()).on('end', read.resolve)
      res.on('close', () => setImmediate(() => req.resume())).end('early')
    }
    const server = http2.createServer(mount(bodyCache(), respond) as never)
    const { port } = await listen(server as never)
    const session = http2.connect(`http://127.0.0.1:${port}`)
    const stream = session.request({ ':method': 'POST' })
    stream.write('1')
    await once(stream.resume(), 'response')
    stream.end()
    await read.promise
    await collectedBytes()
    expect(held!.deref() === undefined).to.equal(true)
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
    // Node ends such a request by itself, so it cannot be known whether the host has read it.
    expect(await failure.promise).to.include({ code: 'ERR_SLUICEWAY_BODY_ABORTED' })
    session.destroy()
  })

  for (const headers of [{}, { 'content-length': '20' }]) {
    it(`reports a client that has left before, ${JSON.stringify(headers)}`, async () => {
      const codes = deferred<unknown[]>()
      const middleware = bodyCache()
      const wait: Handler = (_req, res, next) => void res.on('close', () => void turns().then(() => next()))
      const cache: Handler = async (req, res) => {
        const error = await new Promise((resolve) => {
          middleware(req, res, resolve)
        })
        codes.resolve([(error as BodyError | undefined)?.code, await codeOf(req.bodyCache.buffer())])
      }
      const server = http2.createServer(mount(wait, cache) as never)
      const { port } = await listen(server as never)
      const session = http2.connect(`http://127.0.0.1:${port}`)
      const stream = session.request({ ':method': 'POST', ...headers })
      stream.on('error', () => {}).write('begin')
      await once(server, 'request')
      stream.close(http2.constants.NGHTTP2_CANCEL)
      const aborted = 'ERR_SLUICEWAY_BODY_ABORTED'
      expect(await codes.promise).to.deep.equal([aborted, aborted])
      session.destroy()
    })
  }

  for (const [name, giveUp] of Object.entries(givenUp)) {
    it(`is read again after a reader has given up: ${name}`, async () => {
      const respond: Handler = async (req, res) => {
        await giveUp(req)
        const { length } = await buffer(req)
        res.end(`${length} ${(await req.bodyCache.buffer()).length}`)
      }
      const server = http2.createServer(mount(bodyCache({ memory: 1000 }), respond) as never)
      const { port } = await listen(server as never)
      const session = http2.connect(`http://127.0.0.1:${port}`)
      const stream = session.request({ ':method': 'POST' })
      stream.end(Buffer.alloc(300_000))
      expect(await text(stream)).to.equal('300000 300000')
      session.destroy()
    })
  }

  it("emits 'close' and then 'end', as Node does, and no error, on a request that is not read", async () => {
    expect(await eventsOf((_req, res) => res.end('early'))).to.deep.equal(['close', 'end'])
  })

  it('emits no error on a request that the application has destroyed before it answers', async () => {
    const destroy: Handler = (req, res) => {
      req.destroy()
      res.end('early')
    }
    expect(await eventsOf(destroy)).not.to.include('error')
  })
})
