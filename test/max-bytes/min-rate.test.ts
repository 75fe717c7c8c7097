import http2 from 'node:http2'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { PassThrough, type Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { expect } from 'chai'
import express from 'express'
import { bodyCache, maxBytes, passthroughProxy, type SluicewayError } from 'sluiceway'
import { attached } from '../support/attached.js'
import { deferred } from '../support/deferred.js'
import { type Handler, hosts } from '../support/hosts.js'
import { MockedClock, turns } from '../support/mocked-clock.js'
import { asChunk, lastChunk, RawClient, type RawResponse } from '../support/raw-client.js'
import { answer, scriptedUpstream } from '../support/scripted-upstream.js'
import { closeServers, listen, serve } from '../support/servers.js'
import { emptyDirectory, openFilesIn, removeDirectories } from '../support/temporary-files.js'
import { until } from '../support/until.js'

const HOUR = 3_600_000
const CHUNKED = { 'Transfer-Encoding': 'chunked', 'Content-Type': 'application/json' }

/** 100 bytes for each second, and five seconds behind at most. */
const limited = maxBytes({ limit: '10mb', minRate: { bytesPerSecond: 100, graceMs: 5000 } })

const clock = new MockedClock()

const echo: Handler = (req, res, next) => void text(req).then((body) => res.end(body), next)

/** Node 26 gives a chunk at a time. */
function readAll(req: IncomingMessage): void {
  while (req.read() !== null);
}

/** Everything that can read a body, as a handler that answers when it has had all of it. */
const readers: Readonly<Record<string, Handler>> = {
  "a listener for 'data'": (req, res, next) => {
    req
      .on('data', () => {})
      .on('end', () => res.end('read'))
      .on('error', next)
  },
  "a listener for 'readable'": (req, res, next) => {
    req
      .on('readable', () => {
        readAll(req)
      })
      .on('end', () => res.end('read'))
      .on('error', next)
  },
  'for await': echo,
  'stream/consumers behind iterator()': (req, res, next) =>
    void text(req.iterator()).then((body) => res.end(body), next),
  'a pipeline': (req, res, next) => {
    const file = new PassThrough().resume()
    pipeline(req, file).then(() => res.end('read'), next)
  },
  'a bare pipe': (req, res, next) => {
    const file = new PassThrough().resume()
    req.pipe(file).on('error', next)
    file.on('end', () => res.end('read'))
  },
  'express.json': (req, res, next) =>
    void (express.json() as Handler)(req, res, (error) =>
      error === undefined ? res.end('read') : next(error),
    ),
  'resume() without a listener for data': (req, res) => {
    req.resume().on('end', () => res.end('read'))
  },
}

async function begin(
  port: number,
  first = '[',
  headers: Record<string, string> = CHUNKED,
): Promise<RawClient> {
  const client = await RawClient.connect(port)
  client.request('POST', '/', headers)
  if (first !== '') client.write(asChunk(first))
  await turns()
  return client
}

/** Sends so many spaces in the middle of a body, and waits until they have come. */
async function send(client: RawClient, count: number): Promise<void> {
  client.write(asChunk(' '.repeat(count)))
  await turns()
}

async function refusal(client: RawClient): Promise<RawResponse> {
  const response = await client.response()
  await client.closed()
  return response
}

async function expectRefused(client: RawClient): Promise<void> {
  // Where nobody hears of the error, maxBytes answers on a timer.
  await clock.pass(0)
  const { status, headers } = await refusal(client)
  expect([status, headers['connection']]).to.deep.equal([408, ['close']])
}

/** Ends the body, and returns the status. */
async function finish(client: RawClient, last = ']'): Promise<number> {
  client.write(asChunk(last), lastChunk)
  return (await client.response()).status
}

describe('maxBytes({ minRate })', () => {
  beforeEach(() => clock.stop())
  afterEach(async () => {
    clock.restore()
    await closeServers()
    removeDirectories()
  })

  for (const { name, mount } of hosts) {
    describe(`on ${name}`, () => {
      it('refuses a client that stalls, as soon as its grace is over', async () => {
        const { port } = await serve(mount(limited, echo))
        const client = await begin(port)
        await clock.pass(4999)
        expect(client.pending.toString()).to.equal('')
        await clock.pass(1)
        await expectRefused(client)
      })

      it('refuses a client that sends no byte of its body at all', async () => {
        const { port } = await serve(mount(limited, echo))
        const client = await begin(port, '', { 'Content-Length': '10' })
        await clock.pass(5000)
        await expectRefused(client)
      })

      it('refuses a client that goes on sending, and less than the rate', async () => {
        const { port } = await serve(mount(limited, echo))
        const client = await begin(port)
        let seconds = 0
        for (; client.pending.length === 0 && seconds < 20; seconds++) {
          await clock.pass(1000)
          await send(client, 50)
        }
        // It falls behind by half a second in each.
        expect(seconds).to.be.within(9, 10)
        await expectRefused(client)
      })

      it('lets a client pass that keeps the rate, however long it takes', async () => {
        const { port } = await serve(mount(limited, echo))
        const client = await begin(port)
        for (let seconds = 0; seconds < 100; seconds++) {
          await send(client, 100)
          await clock.pass(1000)
        }
        expect(await finish(client)).to.equal(200)
      })

      it('takes no account of how fast a client was before it stalls', async () => {
        const { port } = await serve(mount(limited, echo))
        const client = await begin(port)
        await send(client, 10_000)
        await clock.pass(5000)
        await expectRefused(client)
      })

      it('never counts time in which nobody reads', async () => {
        const read = deferred()
        const { port } = await serve(
          mount(limited, (req, res, next) => void read.promise.then(() => echo(req, res, next))),
        )
        const client = await begin(port)
        await clock.pass(HOUR)
        read.resolve()
        await clock.pass(4000)
        expect(await finish(client)).to.equal(200)
      })

      it('never counts the time of a reader that holds the body up', async () => {
        const paused = deferred<() => void>()
        const { port } = await serve(
          mount(limited, (req, res) => {
            req.once('data', () => {
              req.pause()
              paused.resolve(() => req.on('data', () => {}).resume())
            })
            req.on('end', () => res.end('read'))
          }),
        )
        const client = await begin(port)
        client.write(asChunk(Buffer.alloc(1024 * 1024)))
        const resume = await paused.promise
        await clock.pass(HOUR)
        resume()
        expect(await finish(client)).to.equal(200)
      })

      it('does not count a pause, and counts what was waited before it', async () => {
        const reading = deferred<{ pause(): void; resume(): void }>()
        const { port } = await serve(
          mount(limited, (req, res, next) => {
            reading.resolve(req)
            readers["a listener for 'data'"]!(req, res, next)
          }),
        )
        const client = await begin(port)
        const req = await reading.promise
        await clock.pass(3000)
        req.pause()
        await clock.pass(HOUR)
        req.resume()
        await clock.pass(1999)
        expect(client.pending.toString()).to.equal('')
        await clock.pass(1)
        await expectRefused(client)
      })

      it('counts nothing once the body is whole, nor on the connection that is kept', async () => {
        const handle = deferred()
        const { port } = await serve(
          mount(limited, (req, res) => void text(req).then(() => handle.promise.then(() => res.end('read')))),
        )
        const client = await begin(port)
        client.write(asChunk(']'), lastChunk)
        await turns()
        expect(clock.pending).to.equal(0)
        await clock.pass(HOUR)
        handle.resolve()
        expect((await client.response()).status).to.equal(200)
        await clock.pass(HOUR)
        client.request('POST', '/', {}, 'again')
        expect((await client.response()).status).to.equal(200)
      })

      it('gives the reader an error of its own', async () => {
        const given = deferred<SluicewayError>()
        const { port } = await serve(
          mount(limited, (req, res) => {
            req
              .on('data', () => {})
              .on('error', (error) => {
                given.resolve(error as SluicewayError)
                res.statusCode = 422
                res.end()
              })
          }),
        )
        const client = await begin(port)
        await clock.pass(5000)
        expect(await given.promise).to.include({
          code: 'ERR_SLUICEWAY_BODY_TOO_SLOW',
          status: 408,
          expose: true,
          received: 1,
        })
        expect((await refusal(client)).status).to.equal(422)
      })

      it('ends an answer that has begun, and its connection', async () => {
        const { port } = await serve(
          mount(limited, (req, res) => {
            res.writeHead(200, { 'Content-Length': '2' })
            res.flushHeaders()
            req.on('data', () => {}).on('error', () => res.end('ok'))
          }),
        )
        const client = await begin(port)
        await clock.pass(5000)
        const { status, body } = await refusal(client)
        expect([status, body.toString()]).to.deep.equal([200, 'ok'])
      })

      it('delivers the answer to a client that writes on before it reads', async () => {
        const { port } = await serve(mount(limited, echo))
        const client = await begin(port)
        client.socket.pause()
        await clock.pass(5000)
        for (let i = 0; i < 16; i++) {
          client.write(asChunk(Buffer.alloc(64 * 1024)))
          await turns()
        }
        client.socket.resume()
        await expectRefused(client)
      })
    })
  }

  // Iterators of requests that Express has handled are ours wherever bodyCache has ever run.
  const { mount } = hosts[0]!

  for (const [how, before] of [
    ['alone', []],
    ['with bodyCache behind it', [bodyCache()]],
  ] as const) {
    describe(how, () => {
      for (const [reader, handler] of Object.entries(readers)) {
        it(`counts where the reader is ${reader}`, async () => {
          const { port } = await serve(mount(limited, ...before, handler))
          const stalling = await begin(port)
          await send(stalling, 100)
          await clock.pass(5000)
          await expectRefused(stalling)
          const steady = await begin(port)
          for (let seconds = 0; seconds < 10; seconds++) {
            await clock.pass(1000)
            await send(steady, 100)
          }
          expect(await finish(steady)).to.equal(200)
        })
      }

      it('does not count while the loop of an iterator is at work, though nothing has come', async () => {
        const work = deferred()
        const begun = deferred()
        const { port } = await serve(
          mount(limited, ...before, async (req, res) => {
            for await (const chunk of req) {
              void chunk
              begun.resolve()
              await work.promise
            }
            res.end('read')
          }),
        )
        const client = await begin(port)
        await begun.promise
        await clock.pass(HOUR)
        work.resolve()
        await clock.pass(4999)
        expect(client.pending.toString()).to.equal('')
        expect(await finish(client)).to.equal(200)
      })

      it('does not count while a destination holds a pipe up', async () => {
        const slow = new PassThrough({ highWaterMark: 1 })
        const { port } = await serve(
          mount(limited, ...before, (req, res, next) => {
            pipeline(req, slow).then(() => res.end('read'), next)
          }),
        )
        const client = await begin(port, '['.repeat(1000))
        await clock.pass(HOUR)
        expect(client.pending.toString()).to.equal('')
        slow.resume()
        await clock.pass(5000)
        await expectRefused(client)
      })
    })
  }

  it('counts for a stream beside the request, and for an accessor', async () => {
    for (const read of [
      (req: Parameters<Handler>[0]) => req.bodyCache.text(),
      (req: Parameters<Handler>[0]) => text(req.bodyCache.stream()),
    ]) {
      const { port } = await serve(
        mount(bodyCache(), limited, (req, res, next) => void read(req).then((body) => res.end(body), next)),
      )
      const client = await begin(port)
      await clock.pass(4000)
      await send(client, 100)
      await clock.pass(1999)
      expect(client.pending.toString()).to.equal('')
      await clock.pass(1)
      await expectRefused(client)
    }
  })

  it('does not count for a reader that has left', async () => {
    const left = deferred()
    const again = deferred()
    const { port } = await serve(
      mount(bodyCache(), limited, async (req, res, next) => {
        for await (const chunk of req) if (chunk !== undefined) break
        left.resolve()
        await again.promise
        echo(req, res, next)
      }),
    )
    const client = await begin(port)
    await left.promise
    await clock.pass(HOUR)
    again.resolve()
    await clock.pass(4999)
    expect(client.pending.toString()).to.equal('')
    expect(await finish(client)).to.equal(200)
  })

  for (const [when, open] of [
    ['behind', 1],
    ['in front of', 0],
  ] as const) {
    it(`does not count while a stream beside the request is paused that was opened ${when} maxBytes`, async () => {
      const opened = deferred<Readable>()
      const handlers: Handler[] = [limited]
      handlers.splice(open, 0, (req, res, next) => {
        const stream = req.bodyCache.stream()
        stream.on('data', () => {}).on('end', () => res.end('read'))
        opened.resolve(stream)
        next()
      })
      const { port } = await serve(mount(bodyCache(), ...handlers, () => {}))
      const client = await begin(port)
      const stream = await opened.promise
      stream.pause()
      await clock.pass(HOUR)
      stream.resume()
      await clock.pass(4999)
      expect(client.pending.toString()).to.equal('')
      await clock.pass(1)
      // Nobody but the stream has heard of it.
      await clock.pass(2000)
      await expectRefused(client)
    })
  }

  it('does not count while a reader waits for a file', async () => {
    const directory = emptyDirectory()
    const read = deferred()
    const { port } = await serve(
      mount(limited, bodyCache({ memory: 0, directory }), async (req, res) => {
        for await (const chunk of req) if (chunk !== undefined) break
        await read.promise
        const stream = req.bodyCache.stream()
        stream.on('end', () => res.end('read')).on('data', () => {})
        // The file is asked for by now, and has had no turn to answer.
        stream.once('resume', () => process.nextTick(() => clock.jump(HOUR)))
      }),
    )
    const client = await begin(port)
    await until(() => openFilesIn(directory)[0]?.size === 1)
    await turns(20)
    read.resolve()
    await turns(200)
    expect(client.pending.toString()).to.equal('')
    expect(await finish(client)).to.equal(200)
  })

  it('leaves a reader that begins in the middle the body from its start', async () => {
    const { port } = await serve(
      mount(limited, bodyCache(), (req, res) => {
        let body: string | undefined
        req.on('data', () => {
          if (body !== undefined) return
          body = ''
          req.on('data', (chunk) => (body += String(chunk))).on('end', () => res.end(body))
        })
      }),
    )
    const client = await begin(port)
    client.write(asChunk(']'), lastChunk)
    expect((await client.response()).body.toString()).to.equal('[]')
  })

  it('does not count for a listener for readable that leaves what has come', async () => {
    const waiting = deferred<() => void>()
    const { port } = await serve(
      mount(limited, (req, res) => {
        req.on('readable', () => waiting.resolve(() => readAll(req))).on('end', () => res.end('read'))
      }),
    )
    const client = await begin(port)
    const read = await waiting.promise
    await clock.pass(HOUR)
    expect(client.pending.toString()).to.equal('')
    client.write(asChunk(']'), lastChunk)
    await turns()
    read()
    expect((await client.response()).status).to.equal(200)
  })

  it('does not count a pause that it cannot have heard of', async () => {
    const reading = deferred<IncomingMessage>()
    const { port } = await serve(
      mount(limited, (req, res) => {
        req.on('data', () => {})
        req.socket.on('close', () => res.destroy())
        reading.resolve(req)
      }),
    )
    const client = await begin(port)
    const req = await reading.promise
    req.removeAllListeners()
    // On the next tick Node lets it flow.
    await turns()
    req.pause()
    await clock.pass(HOUR)
    await clock.pass(0)
    expect(client.pending.toString()).to.equal('')
    client.destroy()
  })

  it('counts for a maxBytes behind which the body is read already', async () => {
    const lax = maxBytes({ limit: '1mb', minRate: { bytesPerSecond: 1, graceMs: 60_000 } })
    const read: Handler = (req, _res, next) => {
      req.on('data', () => {}).on('error', () => {})
      setImmediate(() => setImmediate(next))
    }
    const { port } = await serve(mount(lax, read, limited, () => {}))
    const client = await begin(port)
    await clock.pass(5000)
    // Somebody has heard of it, and stays silent for `lingerMs`.
    await clock.pass(2000)
    await expectRefused(client)
  })

  it('counts for the fast one of two readers', async () => {
    const { port } = await serve(
      mount(limited, bodyCache(), (req, res, next) => {
        req.bodyCache.stream().once('data', function (this: PassThrough) {
          this.pause()
        })
        echo(req, res, next)
      }),
    )
    const client = await begin(port)
    await clock.pass(5000)
    await expectRefused(client)
  })

  for (const [order, first, second] of [
    ['first', 60_000, 1000],
    ['second', 1000, 60_000],
  ] as const) {
    it(`counts the strictest of several, the lax one ${order}`, async () => {
      const rates = [first, second].map((graceMs) =>
        maxBytes({ limit: '1mb', minRate: { bytesPerSecond: 1, graceMs } }),
      )
      const { port } = await serve(mount(...rates, maxBytes('10mb'), echo))
      const client = await begin(port)
      await clock.pass(999)
      expect(client.pending.toString()).to.equal('')
      await clock.pass(1)
      await expectRefused(client)
    })
  }

  it('takes what has come while the process was busy for sent in time', async () => {
    const { port } = await serve(mount(limited, echo))
    const client = await begin(port)
    // In one turn: the bytes are in the kernel, and the timer is overdue.
    await new Promise<void>((resolve) => {
      client.socket.write(asChunk(' '.repeat(500)), () => {
        clock.jump(60_000)
        resolve()
      })
    })
    await clock.pass(4999)
    expect(client.pending.toString()).to.equal('')
    expect(await finish(client)).to.equal(200)
  })

  it('does not count for a request that waits for its turn', async () => {
    const first = deferred()
    const { port } = await serve(
      mount(limited, (req, res, next) => {
        if (req.url === '/first') void first.promise.then(() => res.end('first'))
        else echo(req, res, next)
      }),
    )
    const client = await RawClient.connect(port)
    client.request('GET', '/first')
    client.request('POST', '/', CHUNKED)
    await clock.pass(HOUR)
    first.resolve()
    expect((await client.response()).body.toString()).to.equal('first')
    await clock.pass(4999)
    expect(client.pending.toString()).to.equal('')
    await clock.pass(1)
    await expectRefused(client)
  })

  it('does not count before the 100 Continue', async () => {
    const read = deferred()
    const { port } = await attached(
      mount(limited, (req, res, next) => {
        // It flows, and nobody has asked for it.
        req.resume()
        void read.promise.then(() => readers["a listener for 'data'"]!(req, res, next))
      }),
    )
    const client = await begin(port, '', { ...CHUNKED, Expect: '100-continue' })
    await clock.pass(HOUR)
    expect(client.pending.toString()).to.equal('')
    read.resolve()
    await client.untilText('HTTP/1.1 100 Continue\r\n\r\n')
    await clock.pass(4999)
    expect(client.pending.toString()).to.equal('')
    await clock.pass(1)
    await expectRefused(client)
  })

  for (const [how, before] of [
    ['alone', []],
    ['with bodyCache', [bodyCache()]],
  ] as const) {
    it(`counts where a proxy reads, ${how}, and not while its upstream does not`, async () => {
      const upstream = await scriptedUpstream()
      const { port } = await serve(
        mount(limited, ...before, passthroughProxy(upstream.url, { headersTimeoutMs: 0 })),
      )
      const client = await begin(port)
      const connection = await upstream.connection()
      await connection.untilText('[')
      connection.socket.pause()
      client.write(asChunk(Buffer.alloc(8 * 1024 * 1024)), asChunk(']'))
      await turns(200)
      await clock.pass(HOUR)
      expect(client.pending.toString()).to.equal('')
      connection.socket.resume()
      await connection.untilText(']\r\n')
      // The last of it may have to be written to its file first.
      while (client.pending.length === 0) await clock.pass(100)
      await expectRefused(client)
    })
  }

  it('passes a steady upload on', async () => {
    const upstream = await scriptedUpstream()
    const { port } = await serve(mount(limited, passthroughProxy(upstream.url)))
    const client = await begin(port)
    const connection = await upstream.connection()
    for (let seconds = 0; seconds < 10; seconds++) {
      await clock.pass(1000)
      await send(client, 100)
    }
    client.write(lastChunk)
    await connection.untilText(lastChunk)
    connection.write(answer('stored'))
    expect((await client.response()).body.toString()).to.equal('stored')
  })

  it('goes on behind an answer that came early, and cuts the connection', async () => {
    const failed = deferred<SluicewayError>()
    const { port } = await serve(
      mount(limited, (req, res) => {
        req.on('data', () => {}).on('error', failed.resolve as never)
        res.end('stored soon')
      }),
    )
    const client = await begin(port)
    expect((await client.response()).status).to.equal(200)
    await clock.pass(5000)
    expect((await failed.promise).code).to.equal('ERR_SLUICEWAY_BODY_TOO_SLOW')
    await client.closed()
  })

  it('forgets a client that leaves', async () => {
    const { port, connections } = await serve(mount(limited, echo))
    const client = await begin(port)
    const closed = deferred()
    connections[0]!.once('close', closed.resolve)
    client.destroy()
    await closed.promise
    await turns()
    expect(clock.pending).to.equal(0)
  })

  describe('on HTTP/2', () => {
    for (const [how, before] of [
      ['alone', []],
      ['with bodyCache', [bodyCache()]],
    ] as const) {
      it(`refuses a slow stream, and the session goes on, ${how}`, async () => {
        const { port } = await listen(
          http2.createServer(hosts[0]!.mount(limited, ...before, echo) as never) as never,
        )
        const session = http2.connect(`http://127.0.0.1:${port}`)
        try {
          const slow = session.request({ ':method': 'POST' })
          slow.write('[')
          const other = session.request({ ':method': 'POST' })
          other.write('[')
          await turns(20)
          await clock.pass(4000)
          other.write(' '.repeat(500))
          await turns(20)
          const [headers] = await Promise.all([once(slow, 'response'), clock.pass(1000)])
          expect(headers[0]).to.include({ ':status': 408 })
          await once(slow.resume(), 'close')
          expect(slow.rstCode).to.equal(http2.constants.NGHTTP2_NO_ERROR)
          other.end(']')
          expect(await text(other)).to.have.length(502)
        } finally {
          session.destroy()
        }
      })
    }
  })
})

describe('the options of maxBytes({ minRate })', () => {
  const wrong = (minRate: unknown) => () => maxBytes({ limit: 1, minRate: minRate as never })

  it('are named with their group where they are wrong', () => {
    expect(wrong({})).to.throw(TypeError, 'maxBytes: option "minRate.bytesPerSecond" must be')
    expect(wrong({ bytesPerSecond: 0 })).to.throw(
      RangeError,
      'option "minRate.bytesPerSecond" must be 1 bytes',
    )
    expect(wrong({ bytesPerSecond: Infinity })).to.throw(RangeError, 'option "minRate.bytesPerSecond"')
    expect(wrong({ bytesPerSecond: 240, graceMs: 0 })).to.throw(RangeError, 'option "minRate.graceMs"')
    expect(wrong({ bytesPerSecond: 240, graceMs: '5s' })).to.throw(TypeError, 'option "minRate.graceMs"')
    expect(wrong({ bytesPerSecond: 240, graceMs: 2 ** 31 })).to.throw(RangeError, 'option "minRate.graceMs"')
    expect(wrong({ bytesPerSecond: null })).to.throw(TypeError, 'got null')
    expect(wrong({ bytesPerSecond: 240, graceMS: 1 })).to.throw(
      TypeError,
      'unknown option "minRate.graceMS"; did you mean "minRate.graceMs"?',
    )
  })

  it('come in an object', () => {
    for (const value of [null, true, 240, '240', [240, 5000]]) {
      expect(wrong(value)).to.throw(
        TypeError,
        'option "minRate" must be an object with bytesPerSecond and graceMs',
      )
    }
  })

  it('may be sizes, absent, and undefined', () => {
    expect(wrong(undefined)).not.to.throw()
    expect(wrong({ bytesPerSecond: '1kb', graceMs: undefined })).not.to.throw()
  })
})
