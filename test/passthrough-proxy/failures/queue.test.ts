import { expect } from 'chai'
import { Agent } from 'undici'
import { RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { answer, scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'
import { startWatched } from '../watched.js'

for (const { name, express } of expressVersions) {
  describe(`the queue of passthroughProxy (${name})`, () => {
    afterEach(closeServers)

    for (const [what, targetOf] of [
      ['one target', (url: string) => url],
      ['a chosen target', (url: string) => () => url],
    ] as const) {
      it(`answers 503 with Retry-After beyond maxQueue of ${what}, and frees the places of requests that are served`, async () => {
        const upstream = await scriptedUpstream()
        const { port, errors } = await startWatched(express(), targetOf(upstream.url), {
          maxConnections: 1,
          maxQueue: 1,
        })
        const clients = await Promise.all([1, 2, 3, 4].map(() => RawClient.connect(port)))
        const [running, waiting, refused, later] = clients as [RawClient, RawClient, RawClient, RawClient]
        running.request('GET', '/running')
        const connection = await upstream.connection()
        await connection.untilText('GET /running')
        waiting.request('GET', '/waiting')
        refused.request('GET', '/refused')
        const response = await Promise.race([refused.response(), waiting.response()])
        expect(response.status).to.equal(503)
        expect(response.headers['retry-after']).to.deep.equal(['1'])
        expect(errors[0]).to.have.property('code', 'ERR_SLUICEWAY_UPSTREAM_QUEUE_FULL')
        connection.write(answer())
        await running.response()
        await connection.untilText('\r\n\r\nGET /')
        connection.write(answer())
        later.request('GET', '/later')
        await connection.untilText('GET /later')
        connection.write(answer())
        expect((await later.response()).status).to.equal(200)
        expect(upstream.accepted).to.equal(1)
      })
    }

    it('frees the place of a request whose connection fails, once', async () => {
      const upstream = await scriptedUpstream()
      const { port, client } = await startWatched(express(), upstream.url, { maxConnections: 1, maxQueue: 1 })
      client.request('GET', '/fails')
      const failing = await upstream.connection()
      await failing.untilText('GET /fails')
      failing.socket.resetAndDestroy()
      expect((await client.response()).status).to.equal(502)
      client.request('GET', '/running')
      const connection = await upstream.connection()
      await connection.untilText('GET /running')
      const others = await Promise.all([1, 2].map(() => RawClient.connect(port)))
      for (const other of others) other.request('GET', '/waits')
      expect((await Promise.race(others.map((other) => other.response()))).status).to.equal(503)
    })

    it('keeps the place of a client that left the queue until its turn comes', async () => {
      const upstream = await scriptedUpstream()
      const dispatcher = new Agent({ connections: 1 })
      const arrived = deferred()
      const { port } = await startWatched(express(), upstream.url, {
        dispatcher,
        maxQueue: 1,
        path(req) {
          if (req.url === '/waiting') arrived.resolve()
          return req.url ?? ''
        },
      })
      const [running, waiting, later] = (await Promise.all([1, 2, 3].map(() => RawClient.connect(port)))) as [
        RawClient,
        RawClient,
        RawClient,
      ]
      running.request('GET', '/running')
      const connection = await upstream.connection()
      await connection.untilText('GET /running')
      waiting.request('GET', '/waiting')
      await arrived.promise
      later.request('GET', '/refused')
      expect((await later.response()).status).to.equal(503)
      waiting.socket.end()
      await waiting.closed()
      later.request('GET', '/refused')
      expect((await later.response()).status).to.equal(503)
      connection.write(answer())
      await running.response()
      later.request('GET', '/later')
      expect(await connection.untilText('GET /later')).not.to.contain('/waiting')
      connection.write(answer())
      expect((await later.response()).status).to.equal(200)
      await dispatcher.destroy()
    })
  })
}
