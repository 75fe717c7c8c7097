import { expect } from 'chai'
import { passthroughProxy } from 'sluiceway'

import { expressVersions } from '../support/express-versions.js'
import { asChunk, lastChunk, RawClient } from '../support/raw-client.js'
import { scriptedUpstream, type ScriptedUpstream } from '../support/scripted-upstream.js'
import { closeServers, serve, type TestServer } from '../support/servers.js'

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy early answers (${name})`, () => {
    let upstream: ScriptedUpstream
    let server: TestServer
    let client: RawClient

    beforeEach(async () => {
      upstream = await scriptedUpstream()
      server = await serve(express().use(passthroughProxy(upstream.url)))
      client = await RawClient.connect(server.port)
    })
    afterEach(closeServers)

    for (const connectionLine of ['', 'Connection: close\r\n']) {
      it(`delivers a 413 during the upload, and serves the next request (upstream says "${connectionLine.trim()}")`, async () => {
        client.write('POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n')
        client.write(asChunk('begin'))
        const connection = await upstream.connection()
        await connection.untilText('begin')
        connection.write(`HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n${connectionLine}\r\nbig`)
        const response = await client.response()
        expect(response.status).to.equal(413)
        expect(response.body.toString()).to.equal('big')
        client.write(asChunk(Buffer.alloc(100_000)))
        client.write(lastChunk)
        client.request('GET', '/next')
        const next = await upstream.connection()
        expect(await next.untilText('\r\n\r\n')).to.match(/^GET \/next /)
        next.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
        expect((await client.response()).body.toString()).to.equal('ok')
      })
    }

    it('ends the connection of a client that uploads without end behind the answer', async () => {
      client.write('POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n')
      client.write(asChunk('begin'))
      const connection = await upstream.connection()
      await connection.untilText('begin')
      connection.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n')
      expect((await client.response()).status).to.equal(403)
      const chunk = asChunk(Buffer.alloc(64 * 1024))
      const more = (): void => {
        while (client.write(chunk));
      }
      client.socket.on('drain', more)
      more()
      await client.closed()
      expect(server.connections[0]?.bytesRead).to.be.below(17 * 1024 * 1024)
    })

    it('ends the connection of a client that stops in the middle of its upload', async function () {
      this.timeout(5000)
      client.write('POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nbegin')
      const connection = await upstream.connection()
      await connection.untilText('begin')
      connection.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n')
      expect((await client.response()).status).to.equal(403)
      await client.closed()
    })
  })
}
