import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { PassThrough, type Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { finished, pipeline } from 'node:stream/promises'
import { expect } from 'chai'
import type { ErrorRequestHandler } from 'express'
import onFinished from 'on-finished'
import rawBody from 'raw-body'
import { bodyCache } from 'sluiceway/body-cache'
import { asChunk, lastChunk, RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { wrapListeners } from '../../support/express/wrapped-listeners.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'
import { turns } from '../../support/time/turns.js'
import { waitFor } from '../../support/time/waiting.js'
import { exchange } from '../exchange.js'

const closed = (req: IncomingMessage): Promise<unknown> => once(req, 'close')
const readByIterator = async (req: Readable): Promise<void> => {
  for await (const _chunk of req) continue
}

/** Each reads a request, and waits for its end. */
const ways: Readonly<Record<string, (req: IncomingMessage) => Promise<unknown>>> = {
  "pipes it, and awaits 'close'": (req) => {
    req.pipe(new PassThrough().resume())
    return closed(req)
  },
  "discards it, and awaits 'close'": (req) => closed(req.resume()),
  "iterates, and awaits 'close' behind it": (req) => readByIterator(req).then(() => closed(req)),
  "breaks an iteration off, and awaits 'close'": async (req) => {
    const over = closed(req)
    for await (const _chunk of req) break
    return over
  },
  'iterates, and then awaits finished()': (req) => readByIterator(req).then(() => finished(req)),
  'awaits a pipeline, and then finished()': async (req) => {
    await pipeline(req, new PassThrough().resume())
    await finished(req)
  },
  'reads it, and then awaits on-finished': async (req) => {
    await text(req)
    await new Promise((resolve) => void onFinished(req, resolve))
  },
  "has it from bodyCache, and awaits 'close'": async (req) => {
    const over = closed(req)
    await req.bodyCache.buffer()
    await over
  },
  "has it from bodyCache's stream, and awaits 'close' behind it": async (req) => {
    await text(req.bodyCache.stream())
    await closed(req)
  },
}

for (const { name, mount } of hosts) {
  describe(`bodyCache on ${name}, with a response that waits for the end of its request`, () => {
    afterEach(closeServers)

    for (const [how, way] of Object.entries(ways)) {
      for (const size of [1, 300_000]) {
        it(`answers when the handler ${how}, with ${size} bytes`, async () => {
          const handler: Handler = async (req, res) => {
            await way(req)
            res.end('over')
          }
          const { url } = await serve(mount(bodyCache(), handler))
          const response = await fetch(url, { method: 'POST', body: Buffer.alloc(size) })
          expect(await response.text()).to.equal('over')
        })
      }
    }

    it("does not tell a parser at work, which gives up at 'close', that another reader has read the body", async () => {
      const app = mount(bodyCache({ memory: 200_000 }), async (req, res) => {
        for (let round = 0; round < 3; round++) {
          const both = await Promise.all([rawBody(req), req.bodyCache.buffer(), req.bodyCache.text()])
          if (round === 2) res.end(String(both.map(({ length }) => length)))
        }
      })
      const { url } = await serve(app)
      const answer = await fetch(url, { method: 'POST', body: 'x'.repeat(300_000) })
      expect(await answer.text()).to.equal('300000,300000,300000')
    })

    it("gives the body to a reader that begins while 'close' is emitted", async () => {
      const { url } = await serve(
        mount(bodyCache(), async (req, res) => {
          await text(req)
          // Its listener for 'close' comes in time for that of the first reading, which must not fail it.
          const copy = new PassThrough()
          const [again] = await Promise.all([text(copy), pipeline(req, copy)])
          res.end(again)
        }),
      )
      const response = await fetch(url, { method: 'POST', body: 'abc' })
      expect(await response.text()).to.equal('abc')
    })
  })
}

/** Each reads a request before its handler begins to listen, in a tick after the one in which Node emits 'close'. */
const readings: Readonly<Record<string, (req: IncomingMessage) => Promise<unknown>>> = {
  'iterated over it': readByIterator,
  'taken it from a pipe': (req) => text(req.pipe(new PassThrough())),
  'waited for a raw-body': (req) => rawBody(req),
  'had it from bodyCache': (req) => req.bodyCache.buffer(),
}

for (const { name, mount } of hosts) {
  describe(`bodyCache on ${name}, for a handler that watches for a client that leaves`, () => {
    afterEach(closeServers)

    for (const [how, read] of Object.entries(readings)) {
      it(`does not report the end of the body as one, after it has ${how}`, async () => {
        const left: string[] = []
        const handler: Handler = async (req, res) => {
          await read(req)
          await new Promise(setImmediate)
          req.on('close', () => left.push(res.writableEnded ? 'answered' : 'not answered'))
          await turns()
          res.end(left.join())
        }
        const { url } = await serve(mount(bodyCache(), handler))
        const response = await fetch(url, { method: 'POST', body: 'abc' })
        expect(await response.text()).to.equal('')
      })

      it(`tells it when the client has left, after it has ${how}`, async () => {
        const begun = deferred()
        const left = deferred()
        const handler: Handler = async (req) => {
          await read(req)
          await new Promise(setImmediate)
          req.on('close', () => left.resolve())
          begun.resolve()
        }
        const { port } = await serve(mount(bodyCache(), handler))
        const client = await RawClient.connect(port)
        client.request('POST', '/', {}, 'abc')
        await waitFor('the handler to listen', begun.promise)
        client.destroy()
        await waitFor("'close' of the request", left.promise)
      })
    }

    // An event stream: a loop over a request without a body ends in the tick in which Node emits 'close'.
    it('tells it only when the client has left, in the turn in which it has iterated over no body', async () => {
      const left = deferred()
      const told: string[] = []
      const handler: Handler = async (req, res) => {
        await readByIterator(req)
        req.on('close', () => {
          told.push('close')
          left.resolve()
        })
        await turns()
        res.write(`told: ${told.join()};`)
      }
      const { port } = await serve(mount(bodyCache(), handler))
      const client = await RawClient.connect(port)
      client.request('GET', '/')
      expect(await client.untilText(';')).to.match(/told: ;$/)
      client.destroy()
      await waitFor("'close' of the request", left.promise)
      expect(told).to.deep.equal(['close'])
    })
  })
}

for (const { name, express } of expressVersions) {
  describe(`bodyCache on ${name}, after a middleware that holds res.send back until 'close'`, () => {
    afterEach(closeServers)

    for (const [body, status] of [
      ['{"a":1}', 200],
      ['{"a":', 400],
    ] as const) {
      it(`answers ${body} with ${status}`, async () => {
        const app = express()
        app.set('env', 'test')
        app.use(bodyCache(), (req, res, next) => {
          const send = res.send.bind(res)
          const over = closed(req)
          // As graphql-upload does.
          res.send = (sent: unknown) => {
            void over.then(() => send(sent))
            return res
          }
          next()
        })
        app.use(express.json(), (req, res) => void res.send(req.body))
        const answerError: ErrorRequestHandler = (error: { status: number }, _req, res, _next) =>
          void res.status(error.status).send('refused')
        app.use(answerError)
        const { url } = await serve(app)
        const headers = { 'Content-Type': 'application/json' }
        expect((await fetch(url, { method: 'POST', body, headers })).status).to.equal(status)
      })
    }
  })
}

/** As graphql-upload 17 does: by then Node has closed the request. */
const closedUnlessAsked = async (req: IncomingMessage): Promise<void> => {
  if (req.closed) return
  await new Promise<void>((resolve) => {
    req.once('close', resolve)
  })
}

for (const { name, mount } of hosts) {
  describe(`bodyCache on ${name}, for a handler that asks whether the request is closed before it waits`, () => {
    afterEach(closeServers)

    for (const [how, read] of Object.entries(readings)) {
      for (const isTraced of [false, true]) {
        it(`answers after it has ${how}${isTraced ? ', behind a tracer' : ''}`, async () => {
          const handler: Handler = async (req, res) => {
            if (isTraced) wrapListeners(req)
            await read(req)
            await new Promise(setImmediate)
            await closedUnlessAsked(req)
            // A reader that asks as well is not told in the middle of its body.
            const copy = new PassThrough()
            const [again] = await Promise.all([text(copy), pipeline(req, copy)])
            await closedUnlessAsked(req)
            res.end(again)
          }
          const { url } = await serve(mount(bodyCache(), handler))
          const response = await fetch(url, { method: 'POST', body: 'abc' })
          expect(await response.text()).to.equal('abc')
        })
      }
    }
  })
}

describe("'close' of a request with bodyCache", () => {
  afterEach(closeServers)

  it('is emitted once for each listener, in whichever round it was added', async () => {
    const { client, req, res } = await exchange()
    const told: string[] = []
    req.on('close', () => told.push('first'))
    client.write(asChunk('abc'), lastChunk)
    await text(req)
    await closed(req)
    req.on('close', () => told.push('second'))
    await text(req)
    await closed(req)
    res.end()
    await client.response()
    client.destroy()
    await once(req.socket, 'close')
    expect(told).to.deep.equal(['first', 'second'])
  })

  it('waits for a body that is still arriving', async () => {
    const { client, req, res } = await exchange()
    let isOver = false
    req.on('close', () => (isOver = true)).resume()
    client.write(asChunk('abc'))
    while (req.bodyCache.size < 3) await new Promise(setImmediate)
    for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate)
    expect(isOver).to.equal(false)
    const over = closed(req)
    client.write(lastChunk)
    await over
    expect(isOver).to.equal(true)
    res.end()
    client.destroy()
  })
})
