import { once } from 'node:events'
import type { Socket } from 'node:net'
import { setTimeout as later } from 'node:timers/promises'
import { expect } from 'chai'
import { passthroughProxy, type SluicewayError } from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { closed } from '../../support/process/open-resources.js'
import { attached } from '../../support/servers/attached.js'
import { scriptedUpstream, type ScriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, type TestServer } from '../../support/servers/servers.js'

const HANDSHAKE = 'GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

type Side = 'client' | 'upstream'
type Way = 'FIN' | 'RST'
type Moment = 'before the 101' | 'right with the 101' | 'in the middle' | 'after the other has ended its half'

/** The result for the other side: an answer of the proxy, a half-close after which it may still send, or a cut, by a reset or not. */
type Sees = '502' | 'an end, and is still heard' | 'a cut' | 'a reset'

const orders: readonly (readonly [Side, Way, Moment, Sees])[] = [
  ['client', 'FIN', 'before the 101', 'an end, and is still heard'],
  ['client', 'FIN', 'right with the 101', 'an end, and is still heard'],
  ['client', 'FIN', 'in the middle', 'an end, and is still heard'],
  ['client', 'FIN', 'after the other has ended its half', 'a cut'],
  ['client', 'RST', 'before the 101', 'a cut'],
  ['client', 'RST', 'right with the 101', 'a reset'],
  ['client', 'RST', 'in the middle', 'a reset'],
  ['client', 'RST', 'after the other has ended its half', 'a reset'],
  ['upstream', 'FIN', 'before the 101', '502'],
  ['upstream', 'FIN', 'right with the 101', 'an end, and is still heard'],
  ['upstream', 'FIN', 'in the middle', 'an end, and is still heard'],
  ['upstream', 'FIN', 'after the other has ended its half', 'a cut'],
  ['upstream', 'RST', 'before the 101', '502'],
  ['upstream', 'RST', 'right with the 101', 'a reset'],
  ['upstream', 'RST', 'in the middle', 'a reset'],
  ['upstream', 'RST', 'after the other has ended its half', 'a reset'],
]

for (const { name, express } of expressVersions) {
  describe(`a passthroughProxy tunnel when one side leaves (${name})`, () => {
    let upstream: ScriptedUpstream
    let server: TestServer
    let client: RawClient
    let connection: RawClient
    let errors: SluicewayError[]
    let proxyClosed: Promise<unknown>

    beforeEach(async () => {
      errors = []
      upstream = await scriptedUpstream()
      const app = express()
      app.use((_req, res, next) => {
        proxyClosed = once(res, 'close')
        next()
      }, passthroughProxy(upstream.url))
      app.use((error: SluicewayError, _req: unknown, _res: unknown, next: (error: unknown) => void) => {
        errors.push(error)
        next(error)
      })
      server = await attached(app)
      client = await RawClient.connect(server.port)
      client.write(HANDSHAKE)
      connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
    })
    afterEach(closeServers)

    async function open(): Promise<void> {
      connection.write(SWITCH)
      await client.untilText('\r\n\r\n')
    }

    const reach: Record<Moment, (other: RawClient, leaver: RawClient) => unknown> = {
      'before the 101': () => {},
      'right with the 101': () => connection.write(SWITCH),
      'in the middle': async (other, leaver) => {
        await open()
        other.write('ping')
        await leaver.untilText('ping')
        leaver.write('pong')
        await other.untilText('pong')
      },
      'after the other has ended its half': async (other, leaver) => {
        await open()
        other.socket.end()
        await leaver.closed()
        leaver.write('still here')
        await other.untilText('still here')
      },
    }

    it('closes the upstream connection, without an error, when the app destroys the connection', async () => {
      await open()
      server.connections[0]?.destroy()
      await connection.closed()
      expect(errors).to.deep.equal([])
      client.destroy()
      connection.destroy()
    })

    it('ends the upstream if the app destroys the connection of a client that has ended its half', async () => {
      await open()
      client.socket.end()
      await connection.closed()
      server.connections[0]?.destroy()
      await writeUntilRefused(connection.socket)
      await proxyClosed
      expect(errors).to.deep.equal([])
    })

    it('delivers the last bytes of an upstream that has closed, although the client still writes to it', async () => {
      await open()
      // What reaches a closed connection resets it: the proxy sends this on before it reads the end.
      client.write('are you there?')
      connection.write('last words')
      connection.destroy()
      await client.untilText('last words')
      await client.closed()
      expect(client.socket.errored).to.equal(null)
      client.destroy()
      await proxyClosed
    })

    it('does not reset the client of an upstream that has closed, however often it still writes', async () => {
      await open()
      connection.write('last words')
      connection.destroy()
      await client.untilText('last words')
      await client.closed()
      // The first one makes the other end reset the connection, so that a later one fails.
      for (let written = 0; written < 5; written += 1) {
        client.write('are you there?')
        await later(10)
      }
      client.socket.end()
      await closed(client.socket)
      expect(client.socket.errored).to.equal(null)
      await proxyClosed
    })

    for (const [side, way, moment, sees] of orders) {
      it(`${moment}, a ${way} of the ${side}: the other sees ${sees}, and nothing is left open`, async () => {
        const [leaver, other] = side === 'client' ? [client, connection] : [connection, client]
        await reach[moment](other, leaver)
        if (way === 'FIN') leaver.socket.end()
        else leaver.socket.resetAndDestroy()
        // A client that has ended its half is still to be answered.
        if (side === 'client' && way === 'FIN' && moment === 'before the 101') connection.write(SWITCH)
        if (sees === '502') expect((await other.response()).status).to.equal(502)
        await other.closed()
        if (sees === 'an end, and is still heard') {
          other.socket.end('last words')
          await leaver.untilText('last words')
          leaver.socket.end()
        } else if (sees === 'a reset') {
          expectReset(other.socket)
          other.socket.destroy()
        } else if (other.socket.writable) await writeUntilRefused(other.socket)
        await Promise.all([...server.connections, client.socket, connection.socket].map(closed))
        await proxyClosed
        expect(errors.map(({ code }) => code)).to.deep.equal(
          sees === '502' ? ['ERR_SLUICEWAY_UPSTREAM_RESET'] : [],
        )
      })
    }
  })
}

/** Up to Node 22, a reset behind the last bytes looks like an end, to the proxy and to this socket. */
function expectReset({ errored }: Socket): void {
  const looksLikeEnd = Number.parseInt(process.versions.node, 10) <= 22 && errored === null
  if (!looksLikeEnd) expect(errored).to.include({ code: 'ECONNRESET' })
}

/** A peer that has left resets the connection when it gets bytes; a peer that has only ended its half accepts them. */
async function writeUntilRefused(socket: Socket): Promise<void> {
  while (!socket.closed) {
    socket.write('into the void')
    await new Promise((resolve) => setImmediate(resolve))
  }
}
