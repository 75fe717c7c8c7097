// `GET / HTTP/2.0` may come over HTTP/1 too, and Node serves it as HTTP/1.0: without chunks, so that an answer ends with
// its connection. The proxy used the version in the request line, and ended a cut answer like a whole one.
// Node 20 silently drops the header lines beyond `server.maxHeadersCount`, and the framing with them.
import { expect } from 'chai'
import { RawClient } from '../support/clients/raw-client.js'
import { expressVersions } from '../support/express/express-versions.js'
import { proxied, request } from '../support/servers/proxied.js'
import { answer } from '../support/servers/scripted-upstream.js'
import { closeServers } from '../support/servers/servers.js'

const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n'

for (const { name, express } of expressVersions) {
  describe(`the version and the header lines of a request behind the proxy (${name})`, () => {
    afterEach(closeServers)

    for (const version of ['1.0', '2.0']) {
      const sent = `GET / HTTP/${version}\r\nHost: test\r\n\r\n`

      it(`HTTP/${version} gets an answer without chunks, trailers or interim responses`, async () => {
        const { client, upstream } = await proxied({ express })
        client.write(sent)
        const connection = await upstream.connection()
        await connection.untilText('\r\n\r\n')
        connection.write(`HTTP/1.1 102 Processing\r\n\r\n${CHUNKED}5\r\nwhole\r\n0\r\nX-Sum: 1\r\n\r\n`)
        await client.closed()
        const all = client.pending.toString()
        expect(all)
          .to.match(/^HTTP\/1\.1 200 OK\r\n/)
          .and.match(/\r\n\r\nwhole$/)
        expect(all).not.to.match(/trailer|x-sum|transfer-encoding/i)
      })

      it(`HTTP/${version} gets a reset when its answer is cut`, async () => {
        const { client, upstream } = await proxied({ express })
        client.write(sent)
        const connection = await upstream.connection()
        connection.write(`${CHUNKED}4\r\nansw\r\n`)
        await client.untilText('answ')
        connection.socket.resetAndDestroy()
        const end = await client.untilText('ered').catch((error: Error) => error.message)
        expect(end).to.match(/^connection failed \(ECONNRESET\)/)
      })
    }

    for (const length of ['Content-Length: 5', 'Transfer-Encoding: chunked']) {
      it(`more lines than Node keeps are refused with 431, even with ${length} among them`, async () => {
        const { upstream, server } = await proxied({ express })
        server.server.maxHeadersCount = 4
        const client = await RawClient.connect(server.port)
        const lines = ['X-A: 1', 'X-B: 2', 'X-C: 3', 'X-D: 4', 'X-E: 5', length]
        client.write(
          `${request('POST', '/', ...lines)}${length.endsWith('5') ? 'hello' : '5\r\nhello\r\n0\r\n\r\n'}`,
        )
        expect((await client.response()).status).to.equal(431)
        await client.closed()
        expect(upstream.accepted).to.equal(0)
      })
    }

    it('exactly as many lines as Node keeps are passed on', async () => {
      const { upstream, server } = await proxied({ express })
      server.server.maxHeadersCount = 4
      const client = await RawClient.connect(server.port)
      client.write(`${request('POST', '/', 'Content-Length: 5', 'X-A: 1')}hello`)
      const connection = await upstream.connection()
      await connection.untilText('hello')
      connection.write(answer())
      expect((await client.response()).status).to.equal(200)
    })
  })
}
