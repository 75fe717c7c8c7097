// An upstream that endlessly sent 102 or 103 took 1.1 GB in 6 s when the client did not read, because interim responses
// have no back-pressure; and it never timed out, because each of them counted as a sign of life.
import { setTimeout as passed } from 'node:timers/promises'
import { expect } from 'chai'
import type { RawClient } from '../support/clients/raw-client.js'
import { expressVersions } from '../support/express/express-versions.js'
import { proxied, request, type Proxied } from '../support/servers/proxied.js'
import { answer } from '../support/servers/scripted-upstream.js'
import { closeServers } from '../support/servers/servers.js'
import { MockedClock } from '../support/time/mocked-clock.js'

const PROCESSING = 'HTTP/1.1 102 Processing\r\n\r\n'
const HINTS = `HTTP/1.1 103 Early Hints\r\nLink: </${'a'.repeat(6000)}>; rel=preload\r\n\r\n`

/** Sends a response again and again, as long as the connection lasts. */
async function pour({ socket }: RawClient, response: string): Promise<void> {
  while (!socket.destroyed && !socket.readableEnded) {
    if (socket.write(response.repeat(20))) await passed(0)
    else
      await Promise.race(['drain', 'close', 'end'].map((event) => new Promise((r) => socket.once(event, r))))
  }
}

/** Sends an interim response every few milliseconds until the connection ends. */
async function drip(connection: RawClient, response: string): Promise<void> {
  while (!connection.socket.destroyed && !connection.socket.readableEnded) {
    connection.write(response)
    await passed(20)
  }
}

for (const { name, express } of expressVersions) {
  describe(`endless interim responses (${name})`, () => {
    const clock = new MockedClock()
    afterEach(() => clock.restore())
    afterEach(closeServers)

    async function begin(
      options: { headersTimeoutMs?: number },
      sent = request('GET', '/'),
    ): Promise<Proxied & { connection: RawClient }> {
      const parts = await proxied({ express, ...options })
      parts.client.write(sent)
      const connection = await parts.upstream.connection()
      await connection.untilText('\r\n\r\n')
      return { ...parts, connection }
    }

    for (const [what, response] of [
      ['102', PROCESSING],
      ['103', HINTS],
      ['199, which is not passed on', 'HTTP/1.1 199 Any\r\n\r\n'],
    ] as const) {
      it(`are a 502: ${what}`, async () => {
        const { client, connection, errors } = await begin({})
        await Promise.all([pour(connection, response), client.untilText('HTTP/1.1 502 ')])
        expect(errors.map(({ code }) => code)).to.deep.equal(['ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE'])
      })
    }

    for (const [what, link] of [
      ['signs', `</a>;${'='.repeat(60_000)}"`],
      ['parameters', `</a>${';a=a'.repeat(26)};"`],
      ['long parameter', `</a>;${'a=b'.repeat(20_000)} x`],
    ] as const) {
      // Node's own expression takes longer for each than a test may, and twice as long with each further parameter.
      it(`do not hold the process up by the ${what} of a link`, async () => {
        const { client, connection } = await begin({})
        connection.write(`HTTP/1.1 103 Early Hints\r\nLink: ${link}\r\n\r\n${answer()}`)
        expect((await client.response()).status).to.equal(200)
      })
    }

    it('are not kept for a client that does not read', async () => {
      const { client, server, connection, errors } = await begin({})
      client.socket.pause()
      const [socket] = server.connections
      let most = 0
      const watch = setInterval(() => (most = Math.max(most, socket!.writableLength)), 1)
      await pour(connection, HINTS)
      clearInterval(watch)
      expect(errors.map(({ code }) => code)).to.deep.equal(['ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE'])
      expect(most).to.be.below(200_000)
    })

    it('do not keep a request alive past headersTimeoutMs', async () => {
      const { client, connection, errors } = await begin({ headersTimeoutMs: 200 })
      const begun = performance.now()
      await Promise.all([drip(connection, PROCESSING), client.untilText('HTTP/1.1 504 ')])
      expect(performance.now() - begun).to.be.within(150, 1500)
      expect(errors.map(({ code }) => code)).to.deep.equal(['ERR_SLUICEWAY_UPSTREAM_TIMEOUT'])
    })

    it('cause no timeout while it is still the turn of the client', async () => {
      clock.stop()
      const { client, connection, errors } = await begin(
        { headersTimeoutMs: 100 },
        `${request('POST', '/', 'Content-Length: 2')}a`,
      )
      for (let n = 0; n < 15; n++) {
        connection.write(PROCESSING)
        await client.untilText(PROCESSING)
        await clock.pass(20)
      }
      client.write('b')
      await connection.untilText('ab')
      connection.write(answer())
      await client.untilText('HTTP/1.1 200 OK')
      expect(errors).to.deep.equal([])
    })

    it('cause no timeout after the answer has begun, or for the next request', async () => {
      clock.stop()
      const { client, connection } = await begin({ headersTimeoutMs: 100 })
      connection.write(`${PROCESSING}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na`)
      await client.untilText('\r\n\r\na')
      for (let n = 0; n < 3; n++) await clock.pass(1000)
      connection.write('b')
      await client.untilText('b')
      client.write(request('GET', '/next'))
      await connection.untilText('\r\n\r\n')
      connection.write(answer('next'))
      await client.untilText('next')
    })
  })
}
