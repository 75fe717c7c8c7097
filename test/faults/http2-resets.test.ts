import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import http2, { type ClientHttp2Session } from 'node:http2'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect } from 'chai'
import { autoFlush, bodyCache, type ChildExit, maxBytes, passthroughProxy, pipeChild } from 'sluiceway'
import { sh } from '../pipe-child/piped.js'
import { frameClient } from '../support/clients/http2-frames.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { closed } from '../support/process/open-resources.js'
import { root } from '../support/repository/repository.js'
import { scriptedUpstream } from '../support/servers/scripted-upstream.js'
import { closeServers, listen } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { until } from '../support/time/until.js'

const { mount } = hosts[0]!
const { NGHTTP2_CANCEL: CANCEL, NGHTTP2_NO_ERROR: NO_ERROR } = http2.constants

/** More than a stream buffers. */
const MUCH = Buffer.alloc(3_000_000)

describe('a client that resets its HTTP/2 stream without an error, and does not read', () => {
  let session: ClientHttp2Session
  afterEach(async () => {
    session.destroy()
    await closeServers()
  })

  async function serve(...handlers: readonly Handler[]): Promise<number> {
    const { port } = await listen(http2.createServer(mount(...handlers) as never) as never)
    // Less than any response sends.
    session = http2.connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 100 } })
    session.on('error', () => {})
    return port
  }

  /** Resets a request once its response has come, and more than is read waits. */
  async function resetUnread(full: Promise<unknown>): Promise<void> {
    const stream = session.request({ ':path': '/' })
    stream.on('error', () => {}).pause()
    await Promise.all([once(stream, 'response'), full])
    stream.close(NO_ERROR)
  }

  it('ends the child of pipeChild', async () => {
    const exit = deferred<ChildExit>()
    const full = deferred()
    await serve((_req, res) => {
      const child = sh('exec yes')
      void pipeChild(res, child).then(exit.resolve)
      child.stdout!.on('pause', () => full.resolve())
    })
    await resetUnread(full.promise)
    expect(await exit.promise).to.deep.equal({ code: null, signal: 'SIGTERM' })
  })

  it('ends pipeChild whose child has ended before', async () => {
    const exit = deferred<ChildExit>()
    const ended = deferred()
    await serve((_req, res) => {
      const child = sh('head -c 5000 /dev/zero')
      void pipeChild(res, child).then(exit.resolve)
      child.once('close', () => setImmediate(ended.resolve))
    })
    await resetUnread(ended.promise)
    expect(await exit.promise).to.deep.equal({ code: 0, signal: null })
  })

  it('ends a child that does not read an upload, while both directions are full', async () => {
    const exit = deferred<ChildExit>()
    const full = deferred()
    const port = await serve((req, res) => {
      void pipeChild(res, sh('exec yes'), { stdin: req }).then(exit.resolve)
      req.on('pause', full.resolve)
    })
    const client = await frameClient(port)
    client.stream.write(MUCH)
    await Promise.all([once(client.stream, 'response'), full.promise])
    client.reset(NO_ERROR)
    expect(await exit.promise).to.deep.equal({ code: null, signal: 'SIGTERM' })
    client.session.destroy()
  })

  it('frees the connection of passthroughProxy to its upstream', async () => {
    const upstream = await scriptedUpstream()
    await serve(passthroughProxy(upstream.url))
    const answered = upstream.connection().then(async (connection) => {
      await connection.untilText('\r\n\r\n')
      connection.write(`HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n`)
      connection.write(MUCH.toString('latin1'))
      return connection
    })
    await resetUnread(answered)
    const { socket } = await answered
    socket.on('error', () => {})
    await closed(socket)
  })

  it('ends a response whose upload is no longer read', async () => {
    const { onResponseClose } = (await import(`${root}/dist/esm/node/response/close.js`)) as {
      onResponseClose: (res: ServerResponse, listener: () => void) => void
    }
    const over = deferred()
    const paused = deferred()
    const port = await serve((req, res) => {
      onResponseClose(res, over.resolve)
      req.once('data', () => {
        req.pause()
        paused.resolve()
      })
      res.write(MUCH)
    })
    const client = await frameClient(port)
    client.stream.write(Buffer.alloc(50_000))
    await Promise.all([once(client.stream, 'response'), paused.promise])
    client.reset(NO_ERROR)
    await over.promise
    client.session.destroy()
  })

  for (const [name, before, how] of [
    ['autoFlush with heartbeats', [autoFlush({ heartbeatMs: 1000 })], 'write'],
    ['bodyCache', [bodyCache()], 'write'],
    ['bodyCache, for a response that has been ended', [bodyCache()], 'end'],
  ] as const) {
    it(`closes the response behind ${name}`, async () => {
      const over = deferred()
      const full = deferred()
      await serve(...before, (_req, res) => {
        res.on('close', over.resolve)
        if (name.includes('autoFlush')) res.setHeader('Content-Type', 'text/event-stream')
        res[how](MUCH)
        full.resolve()
      })
      await resetUnread(full.promise)
      await over.promise
    })
  }

  for (const [what, read] of [
    ['has paused', (req: IncomingMessage) => void req.once('data', () => req.pause())],
    ['waits for its file', (req: IncomingMessage) => void req.on('data', () => {})],
  ] as const) {
    it(`and leaves: its session closes, behind bodyCache, whose reader ${what}`, async () => {
      const reading: Handler = (req, res) => {
        read(req.on('error', () => res.end()))
      }
      const options = { settings: { initialWindowSize: 1_000_000 } }
      const server = http2.createServer(options, mount(bodyCache({ memory: 0 }), reading) as never)
      const opened = once(server, 'session')
      const client = await frameClient((await listen(server as never)).port)
      const [own] = (await opened) as [http2.ServerHttp2Session]
      const over = once(own, 'close')
      const begun = once(own, 'stream')
      client.stream.write(Buffer.alloc(300_000))
      await begun
      client.reset(NO_ERROR)
      client.session.destroy()
      session = client.session
      await over
    })
  }

  it('leaves a stream alone that the application itself has closed, and that still sends', async () => {
    const port = await serve(bodyCache(), (_req, res) => {
      res.end(MUCH)
      ;(res as unknown as http2.Http2ServerResponse).stream.close(NO_ERROR)
    })
    const { session: own, stream } = await frameClient(port)
    session.destroy()
    session = own
    let received = 0
    stream.on('data', (chunk: Buffer) => {
      received += chunk.length
      stream.end()
    })
    await once(stream, 'close')
    expect(received).to.equal(MUCH.length)
  })
})

describe('a client that cuts its HTTP/2 upload', () => {
  afterEach(closeServers)

  /** Serves one request, sends a part of its body and cuts it. */
  async function cut(
    code: number | 'connection',
    headers: http2.OutgoingHttpHeaders,
    ...handlers: readonly Handler[]
  ): Promise<[IncomingMessage, ServerResponse]> {
    const arrived = deferred<[IncomingMessage, ServerResponse]>()
    const last: Handler = (req, res) => arrived.resolve([req, res])
    const { port } = await listen(http2.createServer(mount(...handlers, last) as never) as never)
    const client = await frameClient(port, headers)
    client.stream.write('part')
    const exchange = await arrived.promise
    const requestClosed = once(exchange[0], 'close')
    if (code === 'connection') client.session.destroy()
    else client.reset(code)
    await requestClosed
    client.session.destroy()
    return exchange
  }

  for (const [name, before] of [
    ['maxBytes', maxBytes('1mb')],
    ['bodyCache', bodyCache()],
  ] as const) {
    it(`that was read whole, before its answer: its reader hears of no error after its end, behind ${name}`, async () => {
      const told: string[] = []
      const read = deferred<IncomingMessage>()
      const reader: Handler = (req) => {
        req.on('data', () => {}).on('error', (error) => told.push(String(error)))
        req.on('end', () => told.push('end')).on('end', () => read.resolve(req))
      }
      const { port } = await listen(http2.createServer(mount(before, reader) as never) as never)
      const client = await frameClient(port)
      client.stream.end('whole')
      const requestClosed = once(await read.promise, 'close')
      client.reset(CANCEL)
      await requestClosed
      await nextTurn()
      expect(told).to.deep.equal(['end'])
      client.session.destroy()
    })
  }

  for (const [how, headers] of [
    ['of unknown length', {}],
    ['with a length', { 'content-length': 1000 }],
  ] as const) {
    for (const [what, code] of [
      ['an error', CANCEL],
      ['no error', NO_ERROR],
      ['its connection', 'connection'],
    ] as const) {
      it(`${how}, with ${what}: an unread body behind maxBytes does not end the process`, async () => {
        const [req] = await cut(code, headers, maxBytes('1mb'))
        await new Promise(setImmediate)
        const late = req.toArray().catch((error: NodeJS.ErrnoException) => error.code)
        expect(await late).to.equal('ERR_STREAM_PREMATURE_CLOSE')
      })

      for (const [name, before] of [
        ['', []],
        [', behind bodyCache', [bodyCache()]],
      ] as const) {
        it(`${how}, with ${what}: is no failure of the upstream of passthroughProxy${name}`, async () => {
          const upstream = await scriptedUpstream()
          const opened = upstream.connection()
          const errors: unknown[] = []
          const proxy = passthroughProxy(upstream.url)
          const proxying: Handler = (req, res, next) => {
            proxy(req, res, (error: unknown) => errors.push(error))
            void opened.then((connection) => connection.untilText('part')).then(() => next())
          }
          await cut(code, headers, ...before, proxying)
          await (await opened).closed()
          expect(errors).to.deep.equal([])
        })
      }

      for (const [name, before] of [
        ['maxBytes', maxBytes('1mb')],
        ['bodyCache', bodyCache()],
      ] as const) {
        it(`${how}, with ${what}: code that waits for 'end' or 'error' gets the error, behind ${name}`, async () => {
          const read = deferred<unknown>()
          await cut(code, headers, before, (req, _res, next) => {
            const begun = (): void => next()
            req.once('data', begun).on('data', () => {})
            req.on('end', () => read.resolve('whole')).on('error', read.resolve)
          })
          expect(await read.promise).to.include({ code: 'ERR_SLUICEWAY_BODY_ABORTED' })
        })

        it(`${how}, with ${what}: a listener for that error may throw, and hears of it once, behind ${name}`, async () => {
          let heard = 0
          await cut(code, headers, before, (req, _res, next) => {
            req.on('error', () => {
              heard += 1
              throw new Error('thrown by a listener')
            })
            next()
          })
          await until(() => heard > 0)
          await nextTurn()
          expect(heard).to.equal(1)
        })

        it(`${how}, with ${what}: so does code that discards the body, behind ${name}`, async () => {
          const discarded = deferred<unknown>()
          await cut(code, headers, before, (req, _res, next) => {
            once(req.resume(), 'end').then(() => discarded.resolve('whole'), discarded.resolve)
            setImmediate(next)
          })
          expect(await discarded.promise).to.include({ code: 'ERR_SLUICEWAY_BODY_ABORTED' })
        })
      }

      it(`${how}, with ${what}: a reader of bodyCache gets an error`, async () => {
        const read = deferred<unknown>()
        await cut(code, headers, bodyCache(), (req, _res, next) => {
          req.bodyCache.buffer().then(read.resolve, read.resolve)
          next()
        })
        expect(await read.promise).to.include({ code: 'ERR_SLUICEWAY_BODY_ABORTED' })
      })
    }
  }
})
