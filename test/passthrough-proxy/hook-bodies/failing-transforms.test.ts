import { once } from 'node:events'
import { PassThrough, Transform } from 'node:stream'
import { TransformStream } from 'node:stream/web'
import { expect } from 'chai'
import { asChunk, lastChunk } from '../../support/clients/raw-client.js'
import { withEntry } from '../../support/error-entry.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { proxied, request } from '../../support/servers/proxied.js'
import { answer } from '../../support/servers/scripted-upstream.js'
import { closeServers } from '../../support/servers/servers.js'
import { atBad, failures, thrown, type WebController } from './failures.js'
import { transformOf, Watched } from './transforms.js'

const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
const FAILED = withEntry('passthroughProxy: a transform of onResponse failed', 'ERR_SLUICEWAY_PROXY_HOOK')

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

      // The pair fails at its first chunk, whatever that is.
      if (what.includes('pair')) continue

      it(`cuts the client off where a transform ${what} in the middle, and leaves the upstream`, async () => {
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
