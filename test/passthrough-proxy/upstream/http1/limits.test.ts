import type net from 'node:net'
import { PassThrough, Readable } from 'node:stream'
import { expect } from 'chai'
import type { RawClient } from '../../../support/clients/raw-client.js'
import { createClient, type Upstream } from '../../../support/http1/http1-client.js'
import { ask, RecordingReceiver } from '../../../support/http1/upstream-receiver.js'
import { answer, type ScriptedUpstream } from '../../../support/servers/scripted-upstream.js'
import { MockedClock } from '../../../support/time/mocked-clock.js'
import { turns } from '../../../support/time/turns.js'
import { until } from '../../../support/time/until.js'
import { giveEach, settings, turn } from './asked.js'

describe("the limits of the proxy's own client", () => {
  let server: ScriptedUpstream
  let upstream: Upstream
  let origin: string

  giveEach(settings, (given) => ({ server, origin, upstream } = given))

  async function asked(
    request: Partial<Parameters<typeof ask>[1]>,
  ): Promise<{ got: RecordingReceiver; connection: RawClient }> {
    const got = ask(upstream, { origin, ...request })
    const connection = await server.connection()
    await connection.untilText('\r\n\r\n')
    return { got, connection }
  }

  it('fail a request after connectTimeoutMs without a connection', async () => {
    const connect = { lookup: (() => {}) as unknown as net.LookupFunction }
    const client = createClient({ ...settings, connectTimeoutMs: 100, connect })
    const failure = await ask(client, { origin: 'http://nowhere.test' }).failed()
    expect(failure).to.include({
      kind: 'timeout',
      maybeHeard: false,
      message: 'the upstream took too long to accept a connection (connectTimeoutMs)',
    })
    client.close()
  })

  describe('by a clock that only the test advances', () => {
    const clock = new MockedClock()
    beforeEach(() => clock.stop())
    afterEach(() => clock.restore())

    /** Lets time pass, and then waits until the receiver has `count` of these events. */
    async function told(got: RecordingReceiver, name: string, count: number): Promise<void> {
      await until(() => got.events.filter((event) => event === name).length >= count)
    }

    it('fail a request after headersTimeoutMs without a final head, despite interim responses', async () => {
      const { got, connection } = await asked({ headersTimeoutMs: 200 })
      for (let count = 1; count < 10; count++) {
        await clock.pass(20)
        connection.write('HTTP/1.1 102 Processing\r\n\r\n')
        await told(got, 'information', count)
      }
      await clock.pass(19)
      expect(got.failure).to.equal(undefined)
      await clock.pass(1)
      expect(await got.failed()).to.include({
        kind: 'timeout',
        maybeHeard: true,
        message: 'the upstream took too long to begin its answer (headersTimeoutMs)',
      })
      await connection.closed()
    })

    it('start again with each request of a connection', async () => {
      const first = await asked({ headersTimeoutMs: 300 })
      await clock.pass(200)
      first.connection.write(answer())
      await first.got.ended()
      await turn()
      const second = ask(upstream, { origin, headersTimeoutMs: 300 })
      await first.connection.untilText('\r\n\r\n')
      await clock.pass(299)
      first.connection.write(answer())
      await second.ended()
    })

    it('do not count the time while the client is sending', async () => {
      const body = new PassThrough()
      const { got, connection } = await asked({ method: 'POST', body, headersTimeoutMs: 100 })
      for (let piece = 1; piece <= 5; piece++) {
        await clock.pass(60)
        body.write('abc')
        await connection.untilText('abc')
      }
      await clock.pass(250)
      expect(got.events).to.deep.equal(['sending'])
      body.end()
      await connection.untilText('0\r\n\r\n')
      await turn()
      await clock.pass(99)
      expect(got.failure).to.equal(undefined)
      await clock.pass(1)
      expect(await got.failed()).to.include({ kind: 'timeout' })
      connection.destroy()
    })

    it('fail a request after idleTimeoutMs within a body, but not while the client is slow', async () => {
      const { got, connection } = await asked({ headersTimeoutMs: 50, idleTimeoutMs: 200 })
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n')
      await got.until('head')
      for (let piece = 1; piece <= 5; piece++) {
        await clock.pass(180)
        connection.write('a')
        await told(got, 'body', piece)
      }
      got.sending!.pause()
      await clock.pass(300)
      expect(got.failure).to.equal(undefined)
      got.sending!.resume()
      await clock.pass(199)
      expect(got.failure).to.equal(undefined)
      await clock.pass(1)
      expect(await got.failed()).to.include({
        kind: 'timeout',
        maybeHeard: true,
        message: 'the upstream was silent for too long within its answer (idleTimeoutMs)',
      })
    })

    it('count the silence within a body, whatever the client sends', async () => {
      const body = new PassThrough()
      const { got, connection } = await asked({ method: 'POST', body, idleTimeoutMs: 200 })
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n')
      await got.until('head')
      await clock.pass(150)
      body.end(Buffer.alloc(1_000_000))
      await connection.untilText('\r\n0\r\n\r\n')
      await turn()
      await clock.pass(49)
      expect(got.failure).to.equal(undefined)
      await clock.pass(1)
      expect(await got.failed()).to.include({ kind: 'timeout' })
    })

    for (const [kind, body] of [
      ['in memory', Buffer.alloc(30_000_000)],
      ['that comes as a stream', endless()],
    ] as const) {
      it(`start again each time the server reads more of a body ${kind}`, async () => {
        const { got, connection } = await asked({ method: 'POST', body, headersTimeoutMs: 100 })
        for (let round = 0; round < 4; round++) {
          connection.socket.pause()
          await turns(60)
          await clock.pass(60)
          const before = connection.socket.bytesRead
          connection.socket.resume()
          await until(() => connection.socket.bytesRead > before + 2_000_000)
        }
        expect(got.failure).to.equal(undefined)
        got.attempt.abandon()
      })
    }

    it('are not prolonged by a receiver that goes on without a pause', async () => {
      const { got } = await asked({ headersTimeoutMs: 200 })
      await clock.pass(150)
      got.sending!.resume()
      await clock.pass(50)
      expect(await got.failed()).to.include({ kind: 'timeout' })
    })

    it('are off at 0', async () => {
      const { got, connection } = await asked({ headersTimeoutMs: 0, idleTimeoutMs: 0 })
      await clock.pass(1e9)
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n')
      await got.until('head')
      await clock.pass(1e9)
      connection.write('a')
      await got.ended()
    })
  })

  it('count the time while the server does not read', async () => {
    const body = new PassThrough()
    const { got, connection } = await asked({ method: 'POST', body, headersTimeoutMs: 200 })
    connection.socket.pause()
    const filling = setInterval(() => {
      if (!body.writableNeedDrain) body.write(Buffer.alloc(1_000_000))
    }, 1)
    expect(await got.failed()).to.include({ kind: 'timeout' })
    clearInterval(filling)
    connection.destroy()
  })

  it('allow a megabyte of interim responses', async () => {
    const { got, connection } = await asked({})
    const hint = `HTTP/1.1 103 Early Hints\r\nLink: ${'a'.repeat(1000)}\r\n\r\n`
    for (let sent = 0; sent < 2000; sent++) connection.write(hint)
    expect(await got.failed()).to.include({
      kind: 'malformed',
      message: 'the upstream sent too many interim responses',
    })
    expect(got.information.length).to.be.within(900, 1048)
    await connection.closed()
  })

  it('allow a megabyte of unsolicited 100 responses', async () => {
    const { got, connection } = await asked({})
    connection.write('HTTP/1.1 100 Continue\r\n\r\n'.repeat(20_000))
    expect(await got.failed()).to.include({ kind: 'malformed' })
    expect(got.information).to.deep.equal([])
  })

  it('count interim responses separately for each request', async () => {
    let connection: RawClient | undefined
    for (let round = 0; round < 3; round++) {
      const got = ask(upstream, { origin })
      connection ??= await server.connection()
      await connection.untilText('\r\n\r\n')
      connection.write('HTTP/1.1 103 E\r\n\r\n'.repeat(10_000) + answer())
      await got.ended()
      await turn()
    }
  })

  it('stop reading interim responses while a receiver has paused', async () => {
    const receiver = new RecordingReceiver()
    receiver.onEvent = (name) => name === 'information' && receiver.sending!.pause()
    ask(upstream, { origin }, receiver)
    const connection = await server.connection()
    await connection.untilText('\r\n\r\n')
    const hint = `HTTP/1.1 103 Early Hints\r\nLink: ${'a'.repeat(100)}\r\n\r\n`
    connection.write(hint.repeat(4000))
    await receiver.until('information')
    for (let round = 0; round < 20; round++) await turn()
    expect(receiver.information.length).to.be.below(1000)
    connection.write(answer())
    receiver.onEvent = () => {}
    receiver.sending!.resume()
    await receiver.ended()
    expect(receiver.information).to.have.length(4000)
  })
})

function endless(): Readable {
  return new Readable({
    read() {
      this.push(Buffer.alloc(65_536))
    },
  })
}
