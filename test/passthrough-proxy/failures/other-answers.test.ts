import type { ServerResponse } from 'node:http'
import { expect } from 'chai'
import { passthroughProxy } from 'sluiceway'
import { asChunk, RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { answer, scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../../support/servers/servers.js'

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy beside the answer of another handler (${name})`, () => {
    afterEach(closeServers)

    for (const [what, late] of [
      ['answers', (connection: RawClient): void => void connection.write(answer('late'))],
      ['dies', (connection: RawClient): void => void connection.socket.resetAndDestroy()],
    ] as const) {
      it(`does not touch an answer that another handler is writing when the upstream ${what}`, async () => {
        const upstream = await scriptedUpstream()
        let other: ServerResponse | undefined
        const app = express().use((_req, res, next) => {
          next()
          other = res
          res.write('begin ')
        }, passthroughProxy(upstream.url))
        const client = await RawClient.connect((await serve(app)).port)
        client.request('GET', '/')
        const connection = await upstream.connection()
        await client.untilText('begin ')
        late(connection)
        await connection.closed()
        other?.end('end')
        await client.untilText('end\r\n0\r\n\r\n')
      })
    }

    it('does not overwrite an answer that another handler has given in the meantime', async () => {
      const upstream = await scriptedUpstream()
      const app = express().use((_req, res, next) => {
        next()
        res.status(503).send('too slow')
      }, passthroughProxy(upstream.url))
      const client = await RawClient.connect((await serve(app)).port)
      client.request('GET', '/')
      const connection = await upstream.connection()
      expect((await client.response()).body.toString()).to.equal('too slow')
      connection.write(answer('late'))
      await connection.closed()
      client.request('GET', '/again')
      expect((await client.response()).body.toString()).to.equal('too slow')
    })

    it('passes on nothing after an answer that the app has ended, however slowly that is sent', async () => {
      const upstream = await scriptedUpstream()
      let ended: ServerResponse | undefined
      const app = express().use((_req, res, next) => {
        ended = res
        next()
      }, passthroughProxy(upstream.url))
      const client = await RawClient.connect((await serve(app)).port)
      client.request('GET', '/')
      const connection = await upstream.connection()
      connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', asChunk('begin'))
      await client.untilText('begin\r\n')
      client.socket.pause()
      ended?.end(Buffer.alloc(8 * 1024 * 1024, 'x'))
      connection.write(asChunk('late'))
      await connection.closed()
      client.socket.resume()
      expect((await client.chunkedBody()).includes('late')).to.equal(false)
    })
  })
}
