import { expect } from 'chai'
import { passthroughProxy } from 'sluiceway'
import { Agent } from 'undici'

import { deferred } from '../support/deferred.js'
import { expressVersions } from '../support/express-versions.js'
import { asChunk, RawClient } from '../support/raw-client.js'
import { answer, scriptedUpstream, type ScriptedUpstream } from '../support/scripted-upstream.js'
import { closeServers, serve } from '../support/servers.js'

/** The time the upstream may still be kept busy for a client that has left. */
const SOON_MS = 100

/** Waits until the proxy has left the upstream, and holds it to the time allowed. */
async function expectClosedSoon(connection: RawClient): Promise<void> {
  const start = performance.now()
  await connection.closed()
  expect(performance.now() - start).to.be.below(SOON_MS)
}

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
      for (const [how, leave] of [
        ['by FIN', (): void => void client.socket.end()],
        ['by RST', (): void => void client.socket.resetAndDestroy()],
      ] as const) {
        for (const [when, prepare] of [
          ['before the head of the answer', async () => {}],
          [
            'in the body of the answer',
            async (connection: RawClient) => {
              connection.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
              await client.untilText('half')
            },
          ],
        ] as const) {
          it(`${how} ${when}, ends the upstream request`, async () => {
            client.request('GET', '/')
            const connection = await upstream.connection()
            await connection.untilText('\r\n\r\n')
            await prepare(connection)
            leave()
            await expectClosedSoon(connection)
          })
        }

        it(`${how} in the upload, ends the upstream request, which is never a whole one`, async () => {
          client.write('POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n')
          client.write(asChunk('half'))
          const connection = await upstream.connection()
          await connection.untilText('half')
          leave()
          await expectClosedSoon(connection)
          expect(connection.pending.toString()).not.to.contain('0\r\n\r\n')
        })
      }

      it('before a connection was there, asks the upstream nothing, and keeps the connection for the next', async () => {
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

      it('while it waits for a connection, asks the upstream nothing, and leaves the connection to others', async () => {
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

      afterEach(() => {
        expect(errors).to.deep.equal([])
      })
    })

    describe('when the upstream dies', () => {
      for (const [how, die] of [
        ['by FIN', (connection: RawClient): void => void connection.socket.end()],
        ['by RST', (connection: RawClient): void => void connection.socket.resetAndDestroy()],
      ] as const) {
        for (const [what, head, part] of [
          ['a body with Content-Length', 'Content-Length: 10', 'half'],
          ['a chunked body', 'Transfer-Encoding: chunked', '4\r\nhalf\r\n'],
        ] as const) {
          it(`${how} in ${what}, cuts the client off: never a clean end`, async () => {
            client.request('GET', '/')
            const connection = await upstream.connection()
            await connection.untilText('\r\n\r\n')
            connection.write(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n${part}`)
            await client.untilText('half')
            die(connection)
            await client.closed()
            expect(client.pending.toString()).not.to.contain('0\r\n')
            expect(errors).to.have.length(1)
            expect(errors[0]).to.have.property('code', 'ERR_SLUICEWAY_UPSTREAM_RESET')
          })
        }

        it(`${how} before the head, answers 502`, async () => {
          client.request('POST', '/', {}, 'body')
          const connection = await upstream.connection()
          await connection.untilText('body')
          die(connection)
          expect((await client.response()).status).to.equal(502)
          expect(errors[0]).to.have.property('code', 'ERR_SLUICEWAY_UPSTREAM_RESET')
        })

        it(`${how} in the head, answers 502`, async () => {
          client.request('GET', '/')
          const connection = await upstream.connection()
          await connection.untilText('\r\n\r\n')
          connection.write('HTTP/1.1 200 OK\r\nContent-')
          die(connection)
          expect((await client.response()).status).to.equal(502)
        })

        it(`${how} in the upload, answers 502 at once on a whole connection`, async () => {
          client.write('POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n')
          client.write(asChunk('half'))
          const connection = await upstream.connection()
          await connection.untilText('half')
          die(connection)
          // Not yet at its end: the rest of the upload follows only after the answer.
          expect((await client.response()).status).to.equal(502)
          client.write(asChunk('rest'))
          client.write('0\r\n\r\n')
          client.request('GET', '/next')
          const next = await upstream.connection()
          await next.untilText('GET /next')
          next.write(answer())
          expect((await client.response()).status).to.equal(200)
        })
      }

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
      it('aborts the upstream request and hands that very error to the app', async () => {
        const tooLarge = Object.assign(new Error('too large'), {
          code: 'ERR_SLUICEWAY_BODY_TOO_LARGE',
          status: 413,
        })
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
