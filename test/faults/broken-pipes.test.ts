import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { expect } from 'chai'
import { autoFlush, bodyCache, maxBytes, passthroughProxy, pipeChild } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { allClosedIn, emptyDirectory, removeDirectories } from '../support/process/temporary-files.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { happened, waitFor } from '../support/time/waiting.js'

const body = Buffer.alloc(3_000_000, 'more than a pipe holds; ')

for (const { name, mount } of hosts) {
  describe(`a pipe that breaks or fills up (${name})`, () => {
    let directory: string

    beforeEach(() => {
      directory = emptyDirectory()
    })
    // Not after each: a file may be on its way to being opened, and unlinked, still.
    after(removeDirectories)
    afterEach(async () => {
      await closeServers()
      await allClosedIn(directory)
    })

    async function upload(...handlers: Handler[]): Promise<[status: number, answer: string]> {
      const { port } = await serve(mount(maxBytes('10mb'), ...handlers))
      const client = await RawClient.connect(port)
      client.request('POST', '/', {}, body)
      const { status, body: answer } = await client.response()
      client.destroy()
      return [status, answer.toString()]
    }

    it('fails the reader that writes to a child that has exited (EPIPE), and serves the next', async () => {
      const codes: unknown[] = []
      const found = await upload(
        bodyCache({ directory, memory: '100kb', parseLimit: Infinity }),
        async (req, _res, next) => {
          const child = spawn('true', { stdio: ['pipe', 'ignore', 'ignore'] })
          await pipeline(req, child.stdin).catch((error: NodeJS.ErrnoException) => codes.push(error.code))
          next()
        },
        async (req, res) => {
          res.end(String((await req.bodyCache.buffer()).equals(body)))
        },
      )
      expect(found).to.deep.equal([200, 'true'])
      expect(codes).to.have.length(1)
      expect(codes[0]).to.be.oneOf(['EPIPE', 'ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE'])
    })

    it('sends the output of a child that reads only the beginning of its input', async () => {
      const found = await upload(autoFlush(), (req, res) => {
        const child = spawn('head', ['-c', '10'], { detached: true })
        child.stdin.on('error', () => {})
        req.pipe(child.stdin)
        return pipeChild(res, child)
      })
      expect(found).to.deep.equal([200, body.toString('latin1', 0, 10)])
    })

    it('waits for a child that does not read, while others read', async () => {
      const found = await upload(
        bodyCache({ directory, memory: '100kb', parseLimit: Infinity }),
        async (req, res) => {
          const child = spawn('sleep', ['60'], { stdio: ['pipe', 'ignore', 'ignore'] })
          child.stdin.on('error', () => {})
          req.bodyCache
            .stream()
            .on('error', () => {})
            .pipe(child.stdin)
          const whole = (await req.bodyCache.buffer()).equals(body)
          res.end(`${whole} ${child.stdin.writableNeedDrain}`)
          child.kill()
          await once(child, 'exit')
        },
      )
      expect(found).to.deep.equal([200, 'true true'])
    })

    for (const [what, chain] of [
      ['autoFlush', () => [autoFlush({ heartbeatMs: 1 })]],
      ['all', () => [autoFlush({ sync: true }), maxBytes(10), bodyCache({ directory })]],
    ] as [string, () => Handler[]][]) {
      it(`ends when the client leaves while a response is written to it (${what})`, async () => {
        const closed = deferred<ServerResponse>()
        const { port } = await serve(
          mount(...chain(), (_req, res) => {
            const timer = setInterval(() => res.write(body), 1)
            res.on('close', () => {
              clearInterval(timer)
              // Whoever writes on writes into nothing.
              res.write(body, () => closed.resolve(res))
            })
          }),
        )
        const client = await RawClient.connect(port)
        client.request('GET', '/')
        await once(client.socket, 'data')
        client.socket.pause()
        await new Promise(setImmediate)
        client.socket.resetAndDestroy()
        expect((await closed.promise).writableFinished).to.equal(false)
      })
    }

    it('ends the upstream request when the client leaves while the response is written to it', async () => {
      const closed = deferred()
      const upstream = await serve((_req, res) => {
        const timer = setInterval(() => res.write(body), 1)
        res.on('close', () => {
          clearInterval(timer)
          closed.resolve()
        })
      })
      const { port } = await serve(mount(passthroughProxy(upstream.url)))
      const client = await RawClient.connect(port)
      client.request('GET', '/')
      await happened('the client', client.socket, 'data')
      client.socket.resetAndDestroy()
      await waitFor('the upstream to see its response closed', closed.promise)
    })
  })
}
