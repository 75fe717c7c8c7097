import { EventEmitter } from 'node:events'
import { expect } from 'chai'
import type { RawClient } from '../../../support/clients/raw-client.js'
import { createClient, type Upstream } from '../../../support/http1/http1-client.js'
import { ask, type RecordingReceiver } from '../../../support/http1/upstream-receiver.js'
import { answer, type ScriptedUpstream } from '../../../support/servers/scripted-upstream.js'
import { giveEach, ofOne, turn } from './asked.js'

describe("the pool of the proxy's own client", () => {
  let server: ScriptedUpstream
  let upstream: Upstream
  let origin: string

  giveEach(ofOne, (given) => ({ server, origin, upstream } = given))
  // Some tests take another client.
  afterEach(() => upstream.close())

  describe('with the connection of a login', () => {
    class Client extends EventEmitter {
      destroyed = false
      end(): void {
        this.destroyed = true
        this.emit('close')
      }
    }
    const challenge =
      'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="a"\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n'
    let alice: Client
    let bob: Client

    beforeEach(() => {
      alice = new Client()
      bob = new Client()
      upstream = createClient({ ...ofOne, maxConnections: 3 })
    })

    async function answered(got: RecordingReceiver, connection: RawClient, raw = answer()): Promise<void> {
      await connection.untilText('\r\n\r\n')
      connection.write(raw)
      await got.ended()
      await turn()
    }

    for (const [title, request, raw] of [
      ['was challenged', {}, challenge],
      ['logs in', { lines: ['authorization', 'Negotiate abc'] }, answer()],
    ] as const) {
      it(`keeps one that ${title} for its client connection`, async () => {
        const first = ask(upstream, { origin, clientConnection: alice, ...request })
        const hers = await server.connection()
        await answered(first, hers, raw)
        const other = ask(upstream, { origin, clientConnection: bob })
        const his = await server.connection()
        await answered(other, his)
        const anonymous = ask(upstream, { origin })
        await answered(anonymous, his)
        const again = ask(upstream, { origin, clientConnection: alice, path: '/hers' })
        await hers.untilText('GET /hers ')
        await answered(again, hers)
        expect(server.accepted).to.equal(2)
        alice.end()
        await hers.closed()
        expect(alice.listenerCount('close')).to.equal(0)
        expect(bob.listenerCount('close')).to.equal(0)
      })
    }

    it('makes the next step of the login wait until the connection is free', async () => {
      const first = ask(upstream, { origin, clientConnection: alice })
      const hers = await server.connection()
      await hers.untilText('\r\n\r\n')
      hers.write(challenge)
      await first.ended()
      const second = ask(upstream, { origin, clientConnection: alice, path: '/2' })
      await hers.untilText('GET /2 ')
      await answered(second, hers)
      expect(server.accepted).to.equal(1)
    })

    it('opens another one for the next step if the server closes after its challenge', async () => {
      const first = ask(upstream, { origin, clientConnection: alice })
      const hers = await server.connection()
      await hers.untilText('\r\n\r\n')
      hers.write(challenge)
      hers.socket.end()
      await first.ended()
      const second = ask(upstream, { origin, clientConnection: alice, method: 'POST' })
      await answered(second, await server.connection())
    })

    it('makes each client wait for its own connection, if two become free at once', async () => {
      const first = [alice, bob].map((clientConnection) => ask(upstream, { origin, clientConnection }))
      const connections = [await server.connection(), await server.connection()]
      for (const connection of connections) await connection.untilText('\r\n\r\n')
      for (const connection of connections) connection.write(challenge)
      // Both responses are read before either connection is idle.
      await Promise.all(first.map((got) => got.ended()))
      const second = [alice, bob].map((clientConnection, index) =>
        ask(upstream, { origin, clientConnection, path: `/${index}` }),
      )
      for (const [index, connection] of connections.entries()) {
        await connection.untilText(`GET /${index} `)
        await answered(second[index]!, connection)
      }
      expect(server.accepted).to.equal(2)
    })

    it('makes a client wait for its own connection, even if another becomes free before', async () => {
      const [her, him] = [alice, bob].map((clientConnection) => ask(upstream, { origin, clientConnection }))
      const [hers, his] = [await server.connection(), await server.connection()]
      for (const connection of [hers, his]) await connection.untilText('\r\n\r\n')
      // His response is read in the turn in which her connection becomes free.
      her!.onEvent = (name) => name === 'end' && his.write(challenge)
      hers.write(challenge)
      await her!.ended()
      await ask(upstream, { origin, clientConnection: alice, path: '/hers' }).until('sending')
      expect(him!.isOver).to.equal(true)
      const second = ask(upstream, { origin, clientConnection: bob, path: '/his' })
      await his.untilText('GET /his ')
      await answered(second, his)
      expect(server.accepted).to.equal(2)
    })

    it('keeps one of a client if another one of the same client is lost', async () => {
      const first = ask(upstream, { origin, clientConnection: alice })
      const lost = await server.connection()
      await answered(first, lost, challenge)
      const cut = ask(upstream, { origin, clientConnection: alice, method: 'POST' })
      const other = ask(upstream, { origin, clientConnection: alice })
      const kept = await server.connection()
      await answered(other, kept, challenge)
      lost.destroy()
      await cut.failed()
      const next = ask(upstream, { origin, clientConnection: alice, path: '/next' })
      await kept.untilText('GET /next ')
      await answered(next, kept)
      expect(server.accepted).to.equal(2)
    })

    it('keeps one if another connection will be free in a moment', async () => {
      upstream = createClient({ ...ofOne, maxConnections: 2 })
      const first = ask(upstream, { origin, clientConnection: alice })
      const hers = await server.connection()
      await answered(first, hers, challenge)
      const other = ask(upstream, { origin, clientConnection: bob })
      const his = await server.connection()
      await his.untilText('\r\n\r\n')
      his.write(answer())
      await other.ended()
      const next = ask(upstream, { origin, path: '/next' })
      await his.untilText('GET /next ')
      await answered(next, his)
      await answered(ask(upstream, { origin, clientConnection: alice }), hers)
      expect(server.accepted).to.equal(2)
    })

    it('opens another one for a request that comes after the server has closed it', async () => {
      const first = ask(upstream, { origin, clientConnection: alice })
      const hers = await server.connection()
      await answered(first, hers, challenge)
      hers.socket.end()
      await hers.closed()
      await turn()
      const second = ask(upstream, { origin, clientConnection: alice })
      await answered(second, await server.connection())
    })

    it('forgets the next step when the client abandons it', async () => {
      const first = ask(upstream, { origin, clientConnection: alice })
      const hers = await server.connection()
      await hers.untilText('\r\n\r\n')
      hers.write(challenge)
      await first.ended()
      ask(upstream, { origin, clientConnection: alice, path: '/2' }).attempt.abandon()
      await turn()
      const third = ask(upstream, { origin, clientConnection: alice, path: '/3' })
      expect(await hers.untilText('GET /3 ')).to.not.include('GET /2 ')
      await answered(third, hers)
    })

    for (const when of ['is idle', 'is under way'] as const) {
      it(`ends one that ${when} if another client needs its place`, async () => {
        upstream = createClient({ ...ofOne, maxConnections: 1 })
        const first = ask(upstream, { origin, clientConnection: alice })
        const hers = await server.connection()
        if (when === 'is idle') await answered(first, hers, challenge)
        const other = ask(upstream, { origin, clientConnection: bob })
        if (when === 'is under way') await answered(first, hers, challenge)
        await hers.closed()
        await answered(other, await server.connection())
      })
    }

    it('keeps none that is returned after close()', async () => {
      const first = ask(upstream, { origin, clientConnection: alice })
      const hers = await server.connection()
      await hers.untilText('\r\n\r\n')
      upstream.close()
      hers.write(challenge)
      await first.ended()
      await hers.closed()
    })

    for (const [title, raw] of [
      ['challenge is not bound to the connection', challenge.replace('WWW-Authenticate: NTLM\r\n', '')],
      ['answer is no challenge', challenge.replace('401 No', '403 No')],
    ] as const) {
      it(`shares one whose ${title}`, async () => {
        const first = ask(upstream, { origin, clientConnection: alice })
        const connection = await server.connection()
        await answered(first, connection, raw)
        await answered(ask(upstream, { origin, clientConnection: bob }), connection)
        expect(server.accepted).to.equal(1)
      })
    }

    it('closes one if the client has left in the meantime, or is unknown', async () => {
      for (const clientConnection of [undefined, alice]) {
        const got = ask(upstream, { origin, clientConnection })
        const connection = await server.connection()
        alice.end()
        await answered(got, connection, challenge)
        await connection.closed()
      }
    })

    it('closes one in the middle of an answer when its client leaves', async () => {
      const first = ask(upstream, { origin, clientConnection: alice })
      const hers = await server.connection()
      await answered(first, hers, challenge)
      ask(upstream, { origin, clientConnection: alice })
      await hers.untilText('\r\n\r\n')
      alice.end()
      await hers.closed()
    })

    it('closes idle ones when the pool is closed', async () => {
      const first = ask(upstream, { origin, clientConnection: alice })
      const hers = await server.connection()
      await answered(first, hers, challenge)
      upstream.close()
      await hers.closed()
      expect(alice.listenerCount('close')).to.equal(0)
    })
  })
})
