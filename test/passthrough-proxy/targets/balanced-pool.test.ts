import type { RequestListener } from 'node:http'
import { expect } from 'chai'
import { BalancedPool, type Dispatcher } from 'undici'
import { RawClient } from '../../support/clients/raw-client.js'
import { answer, scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, serve, type TestServer } from '../../support/servers/servers.js'
import { until } from '../../support/time/until.js'
import { endAll, kept, start, asked } from './upstreams.js'

describe('the upstreams of passthroughProxy', () => {
  afterEach(endAll)

  describe('three in a BalancedPool', () => {
    it('lose only the requests in flight at one of them when it dies under load', async () => {
      const held: (() => void)[] = []
      const upstreams = await Promise.all([1, 2, 3].map(() => serve(holding(held))))
      const dispatcher = kept(new BalancedPool(upstreams.map(({ url }) => url)))
      const { port, errors } = await start('http://balanced', { dispatcher })
      const clients = await Promise.all(Array.from({ length: 12 }, () => RawClient.connect(port)))
      for (const client of clients) client.request('GET', '/held')
      await until(() => held.length === clients.length)
      const inFlight = die(upstreams[0] as TestServer)
      expect(inFlight).to.be.above(0).and.below(clients.length)
      for (const release of held) release()
      const lost = (await statusesOf(clients)).filter((status) => status !== 200)
      expect(lost).to.deep.equal(Array.from({ length: inFlight }, () => 502))
      for (const body of [undefined, 'body', ['in ', 'chunks']]) {
        for (let round = 0; round < 10; round++) {
          for (const client of clients) client.request('POST', '/after', {}, body)
          expect(await statusesOf(clients)).to.deep.equal(clients.map(() => 200))
        }
      }
      expect(errors).to.have.length(inFlight)
      for (const client of clients) client.destroy()
    })

    /** Keeps requests for /held until they are released. */
    function holding(held: (() => void)[]): RequestListener {
      return (req, res) => {
        if (req.url === '/held') held.push(() => res.end('held'))
        else req.pipe(res)
      }
    }

    /** Ends a server as a crash would; gives how many connections it had. */
    function die({ server, connections }: TestServer): number {
      const alive = connections.filter((socket) => !socket.destroyed)
      server.close()
      for (const socket of alive) socket.destroy()
      return alive.length
    }

    async function statusesOf(clients: readonly RawClient[]): Promise<number[]> {
      return Promise.all(clients.map(async (client) => (await client.response()).status))
    }

    it('are a 502 when all are gone', async () => {
      const gone = await Promise.all([1, 2].map(() => serve(() => {})))
      await closeServers()
      const dispatcher = kept(new BalancedPool(gone.map(({ url }) => url)))
      const { status, errors } = await asked('http://balanced', dispatcher)
      expect(status).to.equal(502)
      expect(errors[0]).to.have.property('code', 'ERR_SLUICEWAY_UPSTREAM_UNREACHABLE')
    })

    it('are tried at most four times', async () => {
      const gone = await serve(() => {})
      await closeServers()
      let tries = 0
      const count =
        (dispatch: Dispatcher['dispatch']): Dispatcher['dispatch'] =>
        (options, handler) => {
          tries += 1
          return dispatch(options, handler)
        }
      const dispatcher = kept(new BalancedPool([gone.url]))
      const { client } = await start('http://balanced', { dispatcher: dispatcher.compose(count) })
      client.request('GET', '/')
      expect((await client.response()).status).to.equal(502)
      expect(tries).to.equal(4)
    })

    it('get a whole upload, whichever of them is chosen', async () => {
      const gone = await scriptedUpstream()
      await closeServers()
      const seen = await scriptedUpstream()
      const dispatcher = kept(new BalancedPool([gone.url, seen.url]))
      const { client } = await start('http://balanced', { dispatcher })
      for (let n = 0; n < 2; n++) {
        client.request('POST', '/', {}, ['one ', 'two'])
        const connection = await seen.connection()
        await connection.untilText('\r\n0\r\n\r\n')
        connection.write(answer('ok', 'Connection: close\r\n'))
        expect((await client.response()).status).to.equal(200)
      }
    })
  })
})
