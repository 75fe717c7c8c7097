import type { IncomingMessage } from 'node:http'
import { PassThrough, type Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { expect } from 'chai'
import { bodyCache } from 'sluiceway'
import { asChunk, lastChunk } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { emptyDirectory, openFilesIn } from '../support/process/temporary-files.js'
import { serve } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { turns } from '../support/time/turns.js'
import { until } from '../support/time/until.js'
import {
  stopClock,
  HOUR,
  limited,
  clock,
  echo,
  readAll,
  readers,
  begin,
  send,
  expectRefused,
  finish,
} from './slow-clients.js'

describe('maxBytes({ minRate })', () => {
  stopClock()

  // Iterators of requests that Express has handled are ours wherever bodyCache has ever run.
  const { mount } = hosts[0]!

  for (const [how, before] of [
    ['alone', []],
    ['with bodyCache behind it', [bodyCache()]],
  ] as const) {
    describe(how, () => {
      for (const [reader, handler] of Object.entries(readers)) {
        it(`counts if the reader is ${reader}`, async () => {
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

  it('does not count for a listener for readable that leaves bytes unread', async () => {
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
})
