import { expect } from 'chai'
import { passthroughProxy } from 'sluiceway'
import { Agent } from 'undici'
import { asChunk, RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { answer, scriptedUpstream, type ScriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy aborts (${name})`, () => {
    let upstream: ScriptedUpstream
    let client: RawClient
    let errors: unknown[]
    let port: number

    beforeEach(async () => {
      upstream = await scriptedUpstream()
      errors = []
      const app = express().use(passthroughProxy(upstream.url))
      app.use((error: unknown, _req: unknown, _res: unknown, next: (error: unknown) => void) => {
        errors.push(error)
        next(error)
      })
      port = (await serve(app)).port
      client = await RawClient.connect(port)
    })
    afterEach(closeServers)

    it('ends the upstream request when the application destroys the request', async () => {
      const app = express().use((req, _res, next) => {
        req.once('data', () => setImmediate(() => req.destroy()))
        req.pause()
        next()
      }, passthroughProxy(upstream.url))
      const uploading = await RawClient.connect((await serve(app)).port)
      uploading.write('POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n')
      uploading.write(asChunk('begin'))
      const connection = await upstream.connection()
      await connection.closed()
      expect(connection.pending.toString()).to.not.include('0\r\n\r\n')
    })

    describe('when the client leaves', () => {
      it('before there is a connection, sends no request upstream, and keeps the connection for the next request', async () => {
        const left = deferred()
        const asked = deferred()
        const app = express().use(
          (_req, res, next) => {
            res.on('close', () => left.resolve())
            next()
          },
          passthroughProxy(async () => {
            asked.resolve()
            await left.promise
            return upstream.url
          }),
        )
        const early = await RawClient.connect((await serve(app)).port)
        early.request('GET', '/never')
        await asked.promise
        early.destroy()
        await left.promise
        client.request('GET', '/next')
        const connection = await upstream.connection()
        expect(await connection.untilText('\r\n\r\n')).to.match(/^GET \/next /)
        connection.write(answer())
        await client.response()
        expect(upstream.accepted).to.equal(1)
      })

      it('while it waits for a connection, sends no request upstream, and leaves the connection to others', async () => {
        const dispatcher = new Agent({ connections: 1 })
        const arrived = deferred()
        const closed = deferred()
        const busy = express().use('/second', (_req, res, next) => {
          res.on('close', () => closed.resolve())
          next()
          arrived.resolve()
        })
        const server = await serve(busy.use(passthroughProxy(upstream.url, { dispatcher })))
        const [first, second, third] = (await Promise.all(
          [1, 2, 3].map(() => RawClient.connect(server.port)),
        )) as [RawClient, RawClient, RawClient]
        first.request('GET', '/first')
        const connection = await upstream.connection()
        await connection.untilText('GET /first')
        second.request('GET', '/second')
        await arrived.promise
        second.destroy()
        await closed.promise
        third.request('GET', '/third')
        connection.write(answer())
        await first.response()
        expect(await connection.untilText('GET /third')).not.to.contain('/second')
        connection.write(answer())
        expect((await third.response()).status).to.equal(200)
        expect(upstream.accepted).to.equal(1)
        await dispatcher.destroy()
      })

      for (const sender of ['the built-in client', 'a dispatcher']) {
        it(`hears the last error of an upload, which Bun reports after the response has closed (${sender})`, async () => {
          const dispatcher = sender === 'a dispatcher' ? new Agent() : undefined
          const closed = deferred<number>()
          const app = express().use(
            (req, _res, next) => {
              // Node itself reports an error only to listeners that are still there.
              req._destroy = (error, callback) => void setImmediate(callback, error)
              req.on('close', () => setImmediate(() => closed.resolve(req.listenerCount('error'))))
              next()
            },
            passthroughProxy(upstream.url, { dispatcher }),
          )
          const leaving = await RawClient.connect((await serve(app)).port)
          leaving.write('POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\nbegin')
          const connection = await upstream.connection()
          await connection.untilText('begin')
          leaving.destroy()
          expect(await closed.promise).to.equal(0)
          await connection.closed()
          await dispatcher?.destroy()
        })
      }

      afterEach(() => {
        expect(errors).to.deep.equal([])
      })
    })

    describe('when the upstream dies', () => {
      it('leaves req.socket in place', async () => {
        const app = express().use(passthroughProxy(upstream.url))
        const sockets: unknown[] = []
        app.use(
          (
            _error: unknown,
            req: { socket: unknown },
            res: { sendStatus(s: number): void },
            _next: unknown,
          ) => {
            sockets.push(req.socket)
            res.sendStatus(599)
          },
        )
        const own = await RawClient.connect((await serve(app)).port)
        own.write('POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n')
        own.write(asChunk('half'))
        const connection = await upstream.connection()
        await connection.untilText('half')
        connection.socket.resetAndDestroy()
        expect((await own.response()).status).to.equal(599)
        expect(sockets[0]).to.have.property('remoteAddress', '127.0.0.1')
      })
    })

    describe('when the upload fails with an error of its own', () => {
      it('aborts the upstream request and gives the app that same error', async () => {
        // Another package's limit; those of ours are in test/combined.
        const tooLarge = Object.assign(new Error('too large'), { status: 413 })
        const app = express().use((req, _res, next) => {
          let first = true
          const push = req.push.bind(req)
          req.push = function pushLimited(chunk: Buffer | null): boolean {
            if (chunk !== null && !first) {
              const { socket } = this
              this.complete = true
              // As maxBytes does: the request ends with an error, its connection does not.
              this.socket = null as never
              this.destroy(tooLarge)
              this.socket = socket
              return false
            }
            first = false
            return push(chunk)
          }
          next()
        }, passthroughProxy(upstream.url))
        const seen: unknown[] = []
        app.use((error: unknown, _req: unknown, res: { sendStatus(s: number): void }, _next: unknown) => {
          seen.push(error)
          res.sendStatus(413)
        })
        const own = await RawClient.connect((await serve(app)).port)
        own.write('POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n')
        own.write(asChunk('fits'))
        const connection = await upstream.connection()
        await connection.untilText('fits')
        own.write(asChunk('does not'))
        expect((await own.response()).status).to.equal(413)
        await connection.closed()
        expect(connection.pending.toString()).not.to.contain('0\r\n\r\n')
        expect(seen).to.deep.equal([tooLarge])
      })
    })
  })
}
