import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { expect } from 'chai'
import { autoFlush, bodyCache, maxBytes, passthroughProxy, pipeChild, type SluicewayError } from 'sluiceway'
import { asChunk, RawClient } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import {
  allClosedIn,
  emptyDirectory,
  openFilesIn,
  removeDirectories,
} from '../support/process/temporary-files.js'
import { scriptedUpstream } from '../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { until } from '../support/time/until.js'
import { happened, waitFor } from '../support/time/waiting.js'

const body = Buffer.alloc(50_000, 'kept in a file; ')

for (const { name, mount } of hosts) {
  describe(`a client that has left (${name})`, () => {
    let directory: string

    beforeEach(() => {
      directory = emptyDirectory()
    })
    afterEach(closeServers)
    // Not after each: a file may be on its way to being opened, and unlinked, still.
    after(removeDirectories)

    describe('while its answer waits behind another', () => {
      /** Sends one request that is never answered, and one that is served by `handlers`. */
      async function pipeline(
        request: string,
        ...handlers: Handler[]
      ): Promise<{ client: RawClient; res: Promise<ServerResponse> }> {
        const second = deferred<ServerResponse>()
        const { port } = await serve(
          mount(
            (req, res, next) => {
              if (req.url === '/first') return
              second.resolve(res)
              next()
            },
            ...handlers,
          ),
        )
        const client = await RawClient.connect(port)
        client.write(`GET /first HTTP/1.1\r\nHost: a\r\n\r\n${request}`)
        return { client, res: second.promise }
      }

      it('leaves no file, and frees its budget', async () => {
        const arrived = deferred()
        const cache = bodyCache({ directory, memory: 0, diskBudget: 60_000 })
        const read: Handler = async (req, res) => {
          await req.bodyCache.buffer()
          if (req.url === '/again') res.end('kept')
          else arrived.resolve()
        }
        const { client, res } = await pipeline(
          `POST /second HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body.toString()}`,
          maxBytes('1mb'),
          cache,
          read,
        )
        await arrived.promise
        // The last bytes are handed on while the file is being opened.
        await until(() => openFilesIn(directory).length > 0)
        let closes = 0
        ;(await res).on('close', () => (closes += 1))
        client.destroy()
        await allClosedIn(directory)
        expect(closes).to.equal(1)
        const { port } = await serve(mount(cache, read))
        const next = await RawClient.connect(port)
        next.request('POST', '/again', {}, body)
        expect((await next.response()).body.toString()).to.equal('kept')
      })

      it('is noticed by a middleware that is called only afterwards', async () => {
        const arrived = deferred()
        const left = deferred<ServerResponse>()
        const { client } = await pipeline(
          'POST /second HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody',
          (req, res, next) => {
            arrived.resolve()
            req.socket.on('close', () => {
              next()
              left.resolve(res)
            })
          },
          bodyCache({ directory, memory: 0 }),
        )
        await waitFor('the request to reach the first middleware', arrived.promise)
        client.destroy()
        const res = await waitFor('that middleware to see the connection closed', left.promise)
        if (!res.closed) await happened('the response', res, 'close')
        await allClosedIn(directory)
      })

      it('causes no further request to the upstream', async () => {
        const upstream = await scriptedUpstream()
        const { client } = await pipeline(
          'GET /second HTTP/1.1\r\nHost: a\r\n\r\n',
          passthroughProxy(upstream.url),
        )
        const connection = await upstream.connection()
        await connection.untilText('\r\n\r\n')
        connection.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf')
        client.destroy()
        await connection.closed()
      })

      it('ends its child process', async () => {
        const child = spawn('sleep', ['60'], { detached: true })
        const piped = deferred()
        const { client } = await pipeline(
          'GET /second HTTP/1.1\r\nHost: a\r\n\r\n',
          autoFlush(),
          (_req, res) => {
            piped.resolve()
            return pipeChild(res, child)
          },
        )
        await piped.promise
        client.destroy()
        expect(await once(child, 'exit')).to.deep.equal([null, 'SIGTERM'])
      })

      it('is served when its turn comes, however many wait', async () => {
        const upstream = await serve((req, res) => res.end(req.url))
        const first = deferred<ServerResponse>()
        const { port } = await serve(
          mount(
            (req, res, next) => {
              if (req.url === '/first') first.resolve(res)
              else next()
            },
            bodyCache(),
            autoFlush(),
            passthroughProxy(upstream.url),
          ),
        )
        const client = await RawClient.connect(port)
        const paths = Array.from({ length: 20 }, (_, n) => `/${n}`)
        client.request('GET', '/first')
        for (const path of paths) client.request('POST', path, {}, 'body')
        ;(await first.promise).end('first')
        for (const path of ['first', ...paths]) {
          expect((await client.response()).body.toString()).to.equal(path)
        }
        client.destroy()
      })
    })

    describe('behind a compressor that takes all listeners of the response, as that of polka', () => {
      const compressor: Handler = (_req, res, next) => {
        res.on = () => res
        next()
      }

      async function request(head: string, ...handlers: Handler[]): Promise<RawClient> {
        const { port } = await serve(mount(compressor, ...handlers))
        const client = await RawClient.connect(port)
        client.write(head)
        return client
      }

      it('leaves no file', async () => {
        const cache = bodyCache({ directory, memory: 0 })
        const client = await request(
          'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody',
          cache,
          (req) => req.bodyCache.buffer(),
        )
        await until(() => openFilesIn(directory).length > 0)
        client.destroy()
        await allClosedIn(directory)
      })

      it('ends its child process', async () => {
        const child = spawn('sleep', ['60'], { detached: true })
        const piped = deferred()
        const client = await request('GET / HTTP/1.1\r\nHost: a\r\n\r\n', (_req, res) => {
          piped.resolve()
          return pipeChild(res, child)
        })
        await piped.promise
        client.destroy()
        expect(await once(child, 'exit')).to.deep.equal([null, 'SIGTERM'])
      })

      it('ends the request to the upstream', async () => {
        const upstream = await scriptedUpstream()
        const client = await request('GET / HTTP/1.1\r\nHost: a\r\n\r\n', passthroughProxy(upstream.url))
        const connection = await upstream.connection()
        await connection.untilText('\r\n\r\n')
        client.destroy()
        await connection.closed()
      })
    })

    describe('before a middleware is called', () => {
      /** Sends `request` and leaves; then come `handlers`. */
      async function leaveBefore(request: string, ...handlers: Handler[]): Promise<void> {
        const arrived = deferred()
        const passed = deferred()
        const { port } = await serve(
          mount(
            (_req, res, next) => {
              res.on('close', () => next())
              arrived.resolve()
            },
            (_req, _res, next) => {
              next()
              passed.resolve()
            },
            ...handlers,
          ),
        )
        const client = await RawClient.connect(port)
        client.write(request)
        await arrived.promise
        client.destroy()
        await passed.promise
      }

      for (const [what, request] of [
        [
          'a part of',
          `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${asChunk('part').toString()}`,
        ],
        ['all of', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody'],
      ] as const) {
        it(`fails its body as aborted, having sent ${what} it, and nothing is kept`, async () => {
          const told = deferred<unknown>()
          const cache = bodyCache({ directory, memory: 0 })
          await leaveBefore(request, maxBytes('1mb'), (req, res) =>
            cache(req, res, (error) => told.resolve((error as SluicewayError | undefined)?.code)),
          )
          expect(await told.promise).to.equal('ERR_SLUICEWAY_BODY_ABORTED')
          await allClosedIn(directory)
        })

        it(`causes no request to the upstream, having sent ${what} its body`, async () => {
          const upstream = await scriptedUpstream()
          const errors: unknown[] = []
          const proxy = passthroughProxy(upstream.url)
          await leaveBefore(request, (req, res) => proxy(req, res, (error) => errors.push(error)))
          await leaveBefore(request, bodyCache(), (req, res) =>
            proxy(req, res, (error) => errors.push(error)),
          )
          expect([upstream.accepted, errors]).to.deep.equal([0, []])
        })
      }

      it('leaves no child process', async () => {
        const child = deferred<ReturnType<typeof spawn>>()
        await leaveBefore(
          'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
          autoFlush({ heartbeatMs: 10 }),
          (_req, res) => {
            res.setHeader('Content-Type', 'text/event-stream')
            const sleep = spawn('sleep', ['60'], { detached: true })
            child.resolve(sleep)
            return pipeChild(res, sleep)
          },
        )
        expect(await once(await child.promise, 'exit')).to.deep.equal([null, 'SIGTERM'])
      })
    })
  })
}
