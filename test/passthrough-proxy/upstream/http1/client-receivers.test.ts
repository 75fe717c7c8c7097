import { AsyncLocalStorage } from 'node:async_hooks'
import { expect } from 'chai'
import type { RawClient } from '../../../support/clients/raw-client.js'
import type { Upstream } from '../../../support/http1/http1-client.js'
import { ask, context, RecordingReceiver } from '../../../support/http1/upstream-receiver.js'
import { collectedBytes } from '../../../support/process/memory.js'
import { answer, type ScriptedUpstream } from '../../../support/servers/scripted-upstream.js'
import { giveEach, askServer, type Arrived, type AskedRequest, settings, turn } from './asked.js'

describe("the proxy's own client", () => {
  let server: ScriptedUpstream
  let upstream: Upstream
  let origin: string

  giveEach(settings, (given) => ({ server, origin, upstream } = given))

  const asked = (request?: AskedRequest, connection?: RawClient): Promise<Arrived> =>
    askServer(upstream, server, { origin, ...request }, connection)

  describe('with its receivers', () => {
    for (const event of ['sending', 'information', 'head', 'body', 'end']) {
      it(`fails with the error that a receiver throws at '${event}'`, async () => {
        const thrown = new Error('thrown')
        const receiver = new RecordingReceiver()
        receiver.onEvent = (name) => {
          if (name !== event) return
          if (name === 'end') receiver.events.pop()
          throw thrown
        }
        ask(upstream, { origin }, receiver)
        const connection = await server.connection()
        if (event !== 'sending') {
          await connection.untilText('\r\n\r\n')
          connection.write('HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na')
          await Promise.race([receiver.until('body'), receiver.failed()]).catch(() => {})
          connection.write('b')
        }
        const maybeHeard = event !== 'sending'
        expect(await receiver.failed()).to.include({ kind: 'malformed', maybeHeard, cause: thrown })
        await connection.closed()
      })

      it(`no longer calls a receiver after it gives up at '${event}'`, async () => {
        const receiver = new RecordingReceiver()
        receiver.onEvent = (name) => {
          if (name === event) receiver.attempt.abandon()
        }
        ask(upstream, { origin }, receiver)
        const connection = await server.connection()
        await connection.untilText('\r\n\r\n').catch(() => {})
        connection.write('HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na')
        await Promise.race([receiver.until('body'), connection.closed()])
        connection.write('b')
        if (event !== 'end') await connection.closed()
        else {
          await receiver.ended()
          await turn()
          const next = await asked({}, connection)
          next.connection.write(answer())
          await next.got.ended()
        }
        expect(receiver.events.at(-1)).to.equal(event)
      })
    }

    it('answers the next request after a receiver has given up in the middle of a read', async () => {
      const receiver = new RecordingReceiver()
      receiver.onEvent = () => receiver.status > 0 && receiver.attempt.abandon()
      ask(upstream, { origin }, receiver)
      const connection = await server.connection()
      await connection.untilText('\r\n\r\n')
      connection.write(answer())
      await connection.closed()
      const next = await asked()
      next.connection.write(answer())
      await next.got.ended()
      expect(receiver.events).to.deep.equal(['sending', 'head'])
    })

    it("fails with the error that a receiver throws at an 'end' made by the end of the connection", async () => {
      const thrown = new Error('thrown')
      const receiver = new RecordingReceiver()
      receiver.onEnd = () => {
        throw thrown
      }
      const got = ask(upstream, { origin }, receiver)
      const connection = await server.connection()
      await connection.untilText('\r\n\r\n')
      connection.write('HTTP/1.1 200 OK\r\n\r\nrest')
      connection.socket.end()
      expect(await got.failed()).to.include({ kind: 'malformed', maybeHeard: true, cause: thrown })
      await connection.closed()
    })

    it('runs them in the context of their own request, whichever request opened the connection', async () => {
      const got: RecordingReceiver[] = []
      for (const name of ['a', 'b', 'c', 'd']) got.push(context.run(name, () => ask(upstream, { origin })))
      const connections = [await server.connection(), await server.connection()]
      for (let answered = 0; answered < 4; answered++) {
        const connection = connections[answered % 2]!
        await connection.untilText('\r\n\r\n')
        connection.write('HTTP/1.1 103 Early\r\n\r\n')
        await turn()
        connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na')
        await turn()
        if (answered < 3) connection.write('b')
        else connection.destroy()
      }
      await got[3]!.failed()
      for (const receiver of got.slice(0, 3)) await receiver.ended()
      expect(got.map(({ contexts }) => [...contexts])).to.deep.equal([['a'], ['b'], ['c'], ['d']])
    })

    it('reports a failure in the context of their own request', async () => {
      const names = ['/a b', '/', '/']
      const origins = [origin, 'http://127.0.0.1:1', 'http://127.0.0.1:1']
      const got = names.map((path, index) =>
        context.run(String(index), () => ask(upstream, { origin: origins[index]!, path })),
      )
      for (const receiver of got) await receiver.failed()
      expect(got.map(({ contexts }) => [...contexts])).to.deep.equal([['0'], ['1'], ['2']])
    })

    it('keeps nothing of their context in a connection', async () => {
      const held = await (async (): Promise<WeakRef<object>> => {
        const store = { name: 'a' }
        const als = new AsyncLocalStorage<object>()
        const got = als.run(store, () => ask(upstream, { origin }))
        const connection = await server.connection()
        await connection.untilText('\r\n\r\n')
        connection.write(answer())
        await got.ended()
        return new WeakRef(store)
      })()
      for (let round = 0; held.deref() !== undefined && round < 50; round++) {
        await collectedBytes()
      }
      expect(held.deref()).to.equal(undefined)
    })
  })

  describe('with its read buffer', () => {
    it('reads into another buffer while the last one is still needed', async () => {
      const kept: Buffer[] = []
      const receiver = new RecordingReceiver()
      receiver.onBody = (chunk) => void kept.push(chunk)
      receiver.onReadOver = () => true
      receiver.onEnd = function (trailers, last) {
        kept.push(last!)
        return RecordingReceiver.prototype.onEnd.call(this, trailers, last)
      }
      ask(upstream, { origin }, receiver)
      const connection = await server.connection()
      await connection.untilText('\r\n\r\n')
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n')
      for (const letter of 'abc') connection.write(letter.repeat(100_000))
      await receiver.ended()
      const all = Buffer.concat(kept).toString()
      expect(all).to.equal('a'.repeat(100_000) + 'b'.repeat(100_000) + 'c'.repeat(100_000))
      connection.destroy()
    })

    it('stops reading while it is paused', async () => {
      const { got, connection } = await asked()
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n')
      await got.until('head')
      got.sending!.pause()
      const flushed = new Promise<void>((resolve) => {
        connection.socket.write(Buffer.alloc(50_000_000), () => resolve())
      })
      for (let round = 0; round < 50; round++) await turn()
      expect(got.chunks.length).to.be.below(3)
      got.sending!.resume()
      await flushed
      await got.ended()
      expect(got.body.length).to.equal(50_000_000)
    })
  })
})
