import type { LookupFunction } from 'node:net'
import { expect } from 'chai'
import type { RawClient } from '../../../support/clients/raw-client.js'
import { createClient, type Upstream } from '../../../support/http1/http1-client.js'
import { ask, type RecordingReceiver } from '../../../support/http1/upstream-receiver.js'
import { answer, type ScriptedUpstream } from '../../../support/servers/scripted-upstream.js'
import { giveEach, ofOne, usedConnection, turn } from './asked.js'

describe("the pool of the proxy's own client", () => {
  let server: ScriptedUpstream
  let upstream: Upstream
  let origin: string

  giveEach(ofOne, (given) => ({ server, origin, upstream } = given))
  // Some tests take another client.
  afterEach(() => upstream.close())

  const used = (): Promise<RawClient> => usedConnection(upstream, server, origin)

  describe('retries', () => {
    it('a request that a stale connection has lost, on a fresh connection', async () => {
      const stale = await used()
      const got = ask(upstream, { origin, path: '/again' })
      await stale.untilText('\r\n\r\n')
      stale.destroy()
      const fresh = await server.connection()
      await fresh.untilText('GET /again ')
      fresh.write(answer('again'))
      expect((await got.ended()).body).to.equal('again')
      expect(got.events).to.deep.equal(['sending', 'sending', 'head', 'end'])
      expect(got.sending?.isReused).to.equal(false)
    })

    it('a request that is written to a connection that was reset in the same turn', async () => {
      const stale = await used()
      stale.socket.resetAndDestroy()
      const got = ask(upstream, { origin, path: '/again' })
      const fresh = await server.connection()
      await fresh.untilText('GET /again ')
      fresh.write(answer('again'))
      expect((await got.ended()).body).to.equal('again')
    })

    it('only once', async () => {
      const stale = await used()
      const got = ask(upstream, { origin })
      await stale.untilText('\r\n\r\n')
      stale.destroy()
      const fresh = await server.connection()
      await fresh.untilText('\r\n\r\n')
      fresh.destroy()
      expect(await got.failed()).to.include({ kind: 'reset', maybeHeard: true })
      expect(server.accepted).to.equal(2)
    })

    for (const [title, request, sent] of [
      ['that is not idempotent', { method: 'POST' }, ''],
      ['with a body', { method: 'PUT', body: Buffer.from('a') }, ''],
      ['for an upgrade', { upgrade: 'websocket' }, ''],
      ['whose response has begun', {}, 'HTTP/1.1 103 Early\r\n\r\n'],
    ] as const) {
      it(`no request ${title}`, async () => {
        const stale = await used()
        const got = ask(upstream, { origin, ...request })
        await stale.untilText('\r\n\r\n')
        stale.write(sent)
        if (sent !== '') await got.until('information')
        stale.destroy()
        expect(await got.failed()).to.include({ kind: 'reset', maybeHeard: true })
        expect(server.accepted).to.equal(1)
      })
    }

    it('no request on a new connection', async () => {
      const got = ask(upstream, { origin })
      const connection = await server.connection()
      await connection.untilText('\r\n\r\n')
      connection.destroy()
      expect(await got.failed()).to.include({ kind: 'reset', maybeHeard: true })
      expect(server.accepted).to.equal(1)
    })

    /** A request that has lost its connection; `connect` lets the next one be opened. */
    async function reconnecting(
      connectTimeoutMs = 10_000,
    ): Promise<{ got: RecordingReceiver; connect: () => void }> {
      let looked = (): void => {}
      const connects: (() => void)[] = []
      const lookup: LookupFunction = (_name, _options, callback) => {
        connects.push(() => callback(null, [{ address: '127.0.0.1', family: 4 }]))
        looked()
      }
      upstream = createClient({ ...ofOne, connectTimeoutMs, connect: { lookup } })
      origin = `http://localhost:${server.port}`
      const first = used()
      connects[0]!()
      const stale = await first
      const got = ask(upstream, { origin, path: '/again' })
      await stale.untilText('\r\n\r\n')
      const again = new Promise<void>((resolve) => (looked = resolve))
      stale.destroy()
      await again
      return { got, connect: connects[1]! }
    }

    it('a request that is paused while its next connection is opened', async () => {
      const { got, connect } = await reconnecting()
      got.sending!.pause()
      got.sending!.resume()
      connect()
      const fresh = await server.connection()
      await fresh.untilText('GET /again ')
      fresh.write(answer('again'))
      expect((await got.ended()).body).to.equal('again')
    })

    it('no longer than a connection may take to open, paused or not', async () => {
      const { got } = await reconnecting(500)
      got.sending!.pause()
      expect(await got.failed()).to.include({ kind: 'timeout' })
    })

    it('no request that is abandoned while its next connection is opened', async () => {
      const { got, connect } = await reconnecting(500)
      got.attempt.abandon()
      const next = ask(upstream, { origin })
      await turn()
      connect()
      expect(await next.failed()).to.include({ kind: 'timeout' })
      expect(got.events).to.deep.equal(['sending'])
      expect(server.accepted).to.equal(1)
    })

    it('no request that was abandoned in the meantime', async () => {
      const stale = await used()
      const got = ask(upstream, { origin })
      await stale.untilText('\r\n\r\n')
      got.attempt.abandon()
      await stale.closed()
      await turn()
      expect(got.events).to.deep.equal(['sending'])
      expect(server.accepted).to.equal(1)
    })
  })
})
