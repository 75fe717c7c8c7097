import { once } from 'node:events'
import { Duplex, PassThrough, Transform } from 'node:stream'
import { ReadableStream, TransformStream, WritableStream } from 'node:stream/web'
import { expect } from 'chai'
import type { BodyTransform } from 'sluiceway'
import { asChunk, lastChunk, RawClient } from '../../support/clients/raw-client.js'
import { withEntry } from '../../support/error-entry.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { proxied, request } from '../../support/servers/proxied.js'
import { answer } from '../../support/servers/scripted-upstream.js'
import { closeServers } from '../../support/servers/servers.js'
import { until } from '../../support/time/until.js'
import { transport } from '../../support/undici/transports.js'
import { transformOf, upperCases, Watched } from './transforms.js'

const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
const FAILED = withEntry('passthroughProxy: a transform of onResponse failed', 'ERR_SLUICEWAY_PROXY_HOOK')

/** A transform that lets everything through up to 'bad', at which it does what a test is about. */
type Bad = (
  fail: (this: Transform, chunk: Buffer, done: (error?: Error | null, chunk?: unknown) => void) => void,
) => Transform

const atBad: Bad = (fail) =>
  transformOf(function (chunk, done) {
    if (chunk.toString().includes('bad')) fail.call(this, chunk, done as never)
    else done(null, chunk)
  })

interface WebController {
  enqueue(chunk: unknown): void
  error(reason: unknown): void
  terminate(): void
}

const webAtBad = (fail: (controller: WebController) => void): TransformStream =>
  new TransformStream({
    transform(chunk: Uint8Array, controller: WebController) {
      if (Buffer.from(chunk).includes('bad')) fail(controller)
      else controller.enqueue(chunk)
    },
  })

const thrown = new Error('the cause')

/** Every way in which a transform breaks, and the message of the cause. */
const failures: readonly (readonly [what: string, create: () => BodyTransform, cause: string])[] = [
  [
    'throws',
    () =>
      atBad(() => {
        throw thrown
      }),
    'the cause',
  ],
  ['calls back with an error', () => atBad((_chunk, done) => done(thrown)), 'the cause'],
  [
    'is destroyed with an error',
    () =>
      atBad(function () {
        this.destroy(thrown)
      }),
    'the cause',
  ],
  [
    'is destroyed without an error',
    () =>
      atBad(function () {
        this.destroy()
      }),
    'a stream was closed before its end',
  ],
  [
    'emits an error',
    () =>
      atBad(function () {
        this.emit('error', thrown)
      }),
    'the cause',
  ],
  [
    'rejects',
    () =>
      Duplex.from(async function* (source: AsyncIterable<Buffer>) {
        for await (const chunk of source) {
          if (chunk.toString().includes('bad')) throw thrown
          yield chunk
        }
      }),
    'the cause',
  ],
  [
    'is async and rejects',
    () =>
      new Transform({
        async transform(chunk: Buffer, _encoding, done) {
          await Promise.resolve()
          if (chunk.includes('bad')) throw thrown
          done(null, chunk)
        },
      }),
    'the cause',
  ],
  [
    'rejects with no error',
    () =>
      new Transform({
        async transform(chunk: Buffer, _encoding, done) {
          if (chunk.includes('bad')) throw 'a string'
          done(null, chunk)
        },
      }),
    'a value was thrown that is not an error',
  ],
  [
    'emits a number',
    () =>
      new Transform({
        readableObjectMode: true,
        transform: (chunk: Buffer, _encoding, done) => done(null, chunk.includes('bad') ? 7 : chunk),
      }),
    'a body consists of bytes or strings, got a number',
  ],
  [
    'emits an object',
    () =>
      new Transform({
        readableObjectMode: true,
        transform: (chunk: Buffer, _encoding, done) => done(null, chunk.includes('bad') ? { x: 1 } : chunk),
      }),
    'a body consists of bytes or strings, got an object',
  ],
  ['emits a number, though not in object mode', () => atBad((_chunk, done) => done(null, 7)), ''],
  [
    'of the web throws',
    () =>
      webAtBad(() => {
        throw thrown
      }),
    'the cause',
  ],
  [
    'of the web throws no error',
    () =>
      webAtBad(() => {
        throw 'a string'
      }),
    'a value was thrown that is not an error',
  ],
  ['of the web fails', () => webAtBad((controller) => controller.error(thrown)), 'the cause'],
  [
    'of the web is aborted',
    () => webAtBad((controller) => controller.error(AbortSignal.abort().reason)),
    'This operation was aborted',
  ],
  [
    'of the web rejects',
    () =>
      new TransformStream({
        transform: async (chunk: Uint8Array, controller) => {
          await Promise.resolve()
          if (Buffer.from(chunk).includes('bad')) throw thrown
          controller.enqueue(chunk)
        },
      }),
    'the cause',
  ],
  ['of the web emits null', () => webAtBad((controller) => controller.enqueue(null)), 'a chunk is null'],
  [
    'of the web emits undefined',
    () => webAtBad((controller) => controller.enqueue(undefined)),
    'a chunk is undefined',
  ],
  [
    'of the web emits a number',
    () => webAtBad((controller) => controller.enqueue(7)),
    'a body consists of bytes or strings, got a number',
  ],
  [
    'of the web is a pair whose readable fails',
    () => {
      let fail!: (reason: unknown) => void
      const readable = new ReadableStream({
        start: (controller) => void (fail = (reason) => controller.error(reason)),
        type: undefined as never,
      })
      return { readable, writable: new WritableStream({ write: () => fail(thrown) }) }
    },
    'the cause',
  ],
]

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy with a transform that fails (${name})`, () => {
    afterEach(closeServers)

    for (const [what, create, cause] of failures) {
      it(`answers 500 where a transform ${what} before it has let anything through`, async () => {
        const { exchange, errors, upstream } = await proxied({
          express,
          onResponse: (incoming) => void incoming.pipeThrough(create()),
        })
        const { response } = await exchange(request('GET', '/'), answer('bad', 'ETag: "a"\r\n'))
        expect(response.status).to.equal(500)
        expect(response.headers).not.to.have.property('etag', '"a"')
        expect(errors[0]).to.include({ code: 'ERR_SLUICEWAY_PROXY_HOOK', message: FAILED })
        expect(String(errors[0]?.cause)).to.include(cause)
        expect(upstream.accepted).to.equal(1)
      })

      it(`cuts the client off where a transform ${what} in the middle, and leaves the upstream`, async () => {
        const pairOnly = what.includes('pair')
        if (pairOnly) return
        const { client, upstream, errors } = await proxied({
          express,
          onResponse: (incoming) => void incoming.pipeThrough(create()),
        })
        client.request('GET', '/')
        const connection = await upstream.connection()
        connection.write(chunked + String(asChunk('good')))
        await client.untilText('good')
        connection.write(asChunk('bad'))
        await client.closed()
        expect(client.pending.toString()).not.to.include(lastChunk)
        await connection.closed()
        expect(errors).to.have.length(1)
        expect(errors[0]).to.include({ code: 'ERR_SLUICEWAY_PROXY_HOOK' })
      })
    }

    for (const [what, create] of [
      [
        'throws',
        () =>
          transformOf(
            (_chunk, done) => done(),
            () => {
              throw thrown
            },
          ),
      ],
      [
        'rejects',
        () =>
          new Transform({
            transform: (_chunk, _encoding, done) => done(),
            async flush() {
              throw thrown
            },
          }),
      ],
      [
        'calls back with an error',
        () =>
          transformOf(
            (_chunk, done) => done(),
            (done) => done(thrown),
          ),
      ],
      [
        'of the web throws',
        () =>
          new TransformStream({
            transform() {},
            flush() {
              throw thrown
            },
          }),
      ],
    ] as const) {
      it(`answers 500 where the flush of a transform ${what}`, async () => {
        const { exchange, errors } = await proxied({
          express,
          onResponse: (incoming) => void incoming.pipeThrough(create()),
        })
        expect((await exchange(request('GET', '/'), answer('body'))).response.status).to.equal(500)
        expect(errors[0]).to.include({ message: FAILED, cause: thrown })
      })
    }

    it('blames the transform that failed, not those before or behind it', async () => {
      const stages = [new Watched(), new Watched()] as const
      const { exchange, errors } = await proxied({
        express,
        onResponse: (incoming) =>
          void incoming
            .pipeThrough(stages[0])
            .pipeThrough(atBad((_chunk, done) => done(thrown)))
            .pipeThrough(stages[1]),
      })
      expect((await exchange(request('GET', '/'), answer('bad'))).response.status).to.equal(500)
      expect(errors).to.have.length(1)
      expect(errors[0]?.cause).to.equal(thrown)
      expect(stages.map((stage) => stage.destroyed)).to.deep.equal([true, true])
    })

    it('cuts an HTTP/1.0 client off by a reset: an end would look like the end of the body', async () => {
      const { client, upstream } = await proxied({
        express,
        onResponse: (incoming) => void incoming.pipeThrough(atBad((_chunk, done) => done(thrown))),
      })
      client.write('GET / HTTP/1.0\r\n\r\n')
      const connection = await upstream.connection()
      connection.write(chunked + String(asChunk('good')))
      await client.untilText('good')
      const reset = new Promise((resolve) => client.socket.once('close', resolve))
      connection.write(asChunk('bad'))
      await reset
      expect(client.socket.errored).to.include({ code: 'ECONNRESET' })
    })

    for (const [kind, create] of [
      [
        'a Transform of Node',
        () =>
          transformOf(function (chunk, done) {
            if (!this.readableEnded) this.push(chunk.toString().slice(0, 4))
            this.push(null)
            done()
          }),
      ],
      [
        'a TransformStream',
        () =>
          new TransformStream({
            transform(chunk: Uint8Array, controller: WebController) {
              controller.enqueue(Buffer.from(chunk).subarray(0, 4))
              controller.terminate()
            },
          }),
      ],
    ] as const) {
      it(`takes the early end of ${kind} for the end of the body, and leaves the upstream`, async () => {
        const { client, upstream, errors } = await proxied({
          express,
          onResponse: (incoming) => void incoming.pipeThrough(create()),
        })
        client.request('GET', '/')
        const connection = await upstream.connection()
        connection.write(chunked + String(asChunk('head and more')))
        expect((await client.response()).body.toString()).to.equal('head')
        await connection.closed()
        expect(errors).to.deep.equal([])
        client.request('GET', '/second')
        ;(await upstream.connectionWith('GET /second')).write(answer('next one'))
        expect((await client.response()).body.toString()).to.equal('next')
      })
    }

    it('ends a transform that never ends, and the upstream, when the client leaves', async () => {
      const stage = transformOf(() => {})
      const { client, upstream, errors } = await proxied({
        express,
        onResponse: (incoming) => void incoming.pipeThrough(stage),
      })
      client.request('GET', '/')
      const connection = await upstream.connection()
      connection.write(chunked + String(asChunk('waits')))
      await client.untilText('\r\n\r\n')
      client.destroy()
      await connection.closed()
      await until(() => stage.destroyed)
      expect(errors).to.deep.equal([])
    })

    it('waits for a transform whose end comes late, after the upstream has ended', async () => {
      let finish!: () => void
      const stage = transformOf(
        (chunk, done) => done(null, chunk),
        (done) => void (finish = () => done(null, '!')),
      )
      const { client, upstream } = await proxied({
        express,
        onResponse: (incoming) => void incoming.pipeThrough(stage),
      })
      client.request('GET', '/')
      ;(await upstream.connection()).write(answer('body'))
      await client.untilText('body')
      await until(() => finish as (() => void) | undefined)
      finish()
      await client.untilText('!')
      await client.untilText(lastChunk)
    })

    for (const [kind, create] of upperCases) {
      it(`cuts the client off, and destroys ${kind}, when the upstream dies in the middle`, async () => {
        const { client, upstream, errors } = await proxied({
          express,
          onResponse: (incoming) => void incoming.pipeThrough(create()),
        })
        client.request('GET', '/')
        const connection = await upstream.connection()
        connection.write(chunked + String(asChunk('half')))
        await client.untilText('HALF')
        connection.socket.resetAndDestroy()
        await client.closed()
        expect(client.pending.toString()).not.to.include(lastChunk)
        expect(errors[0]).to.include({ code: 'ERR_SLUICEWAY_UPSTREAM_RESET' })
      })

      it(`ends ${kind}, and the upstream, when the client leaves in the middle`, async () => {
        const watched = new Watched()
        const { client, upstream, errors } = await proxied({
          express,
          onResponse: (incoming) => void incoming.pipeThrough(create()).pipeThrough(watched),
        })
        client.request('GET', '/')
        const connection = await upstream.connection()
        connection.write(chunked + String(asChunk('half')))
        await client.untilText('HALF')
        client.destroy()
        await connection.closed()
        await until(() => watched.destroyed)
        expect(errors).to.deep.equal([])
      })
    }

    it('answers 502 when the upstream dies before anything has come out', async () => {
      const { client, upstream, errors } = await proxied({
        express,
        onResponse: (incoming) => void incoming.pipeThrough(transformOf(() => {})),
      })
      client.request('GET', '/')
      const connection = await upstream.connection()
      connection.write(`HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf`)
      connection.socket.end()
      expect((await client.response()).status).to.equal(502)
      expect(errors[0]).to.include({ code: 'ERR_SLUICEWAY_UPSTREAM_RESET' })
    })

    it('holds the upstream back while a transform or the client is slow, and passes everything on', async () => {
      const body = Buffer.alloc(24 * 1024 * 1024, 'abcdefg')
      const { client, upstream } = await proxied({
        express,
        onResponse: (incoming) => void incoming.pipeThrough(new PassThrough()),
      })
      client.socket.pause()
      client.request('GET', '/')
      const connection = await upstream.connection()
      connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`)
      connection.write(body)
      // Other requests take the same path meanwhile: what could go on has gone on.
      const other = await RawClient.connect(client.socket.remotePort as number)
      for (let n = 0; n < 50; n++) {
        other.request('GET', '/other')
        const second = await upstream.connectionWith('/other')
        second.write(answer('other', 'Connection: close\r\n'))
        await other.response()
      }
      const unsent = connection.socket.writableLength
      if (transport === 'built-in') expect(unsent).to.be.above(8 * 1024 * 1024)
      client.socket.resume()
      expect((await client.response()).body.equals(body)).to.equal(true)
    })

    it('leaves the client an error of a transform that comes after the end alone', async () => {
      const stage = new Watched()
      const { exchange, errors } = await proxied({
        express,
        onResponse: (incoming) => void incoming.pipeThrough(stage),
      })
      const { response } = await exchange(request('GET', '/'), answer('body'))
      expect(response.body.toString()).to.equal('body')
      stage.emit('error', new Error('much later'))
      expect(errors).to.deep.equal([])
    })

    it('answers 500 if a transform fails while the hook still waits', async () => {
      const { exchange, errors } = await proxied({
        express,
        async onResponse(incoming) {
          const stage = new PassThrough()
          incoming.pipeThrough(stage)
          stage.destroy(thrown)
          await once(stage, 'close').catch(() => {})
        },
      })
      expect((await exchange(request('GET', '/'), answer('body'))).response.status).to.equal(500)
      expect(errors[0]).to.include({ message: FAILED, cause: thrown })
    })

    it('destroys the transforms of a hook that throws', async () => {
      const stage = new Watched()
      const { exchange } = await proxied({
        express,
        onResponse(incoming) {
          incoming.pipeThrough(stage)
          throw thrown
        },
      })
      expect((await exchange(request('GET', '/'), answer('body'))).response.status).to.equal(500)
      expect(stage.destroyed).to.equal(true)
    })

    it('ends the exchange of a hook that never settles when the client leaves', async () => {
      const { client, upstream, errors } = await proxied({ express, onResponse: () => new Promise(() => {}) })
      client.request('GET', '/')
      const connection = await upstream.connection()
      connection.write(answer('x').replace('Length: 1', 'Length: 9'))
      await connection.untilText('\r\n\r\n')
      client.destroy()
      await connection.closed()
      expect(errors).to.deep.equal([])
    })
  })
}
