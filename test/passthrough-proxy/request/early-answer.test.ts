import { expect } from 'chai'
import { passthroughProxy } from 'sluiceway'
import { asChunk, lastChunk, RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { answer, scriptedUpstream, type ScriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, serve, type TestServer } from '../../support/servers/servers.js'
import { standstill } from '../../support/time/standstill.js'
import { needsOwnClient } from '../../support/undici/transports.js'

/** The rest of an upload that is sent after its answer. */
const REST = Buffer.alloc(100_000)

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy with early answers (${name})`, () => {
    let upstream: ScriptedUpstream
    let server: TestServer
    let client: RawClient

    beforeEach(async () => {
      upstream = await scriptedUpstream()
      server = await serve(express().use(passthroughProxy(upstream.url)))
      client = await RawClient.connect(server.port)
    })
    afterEach(closeServers)

    async function beginUpload(framing: 'Content-Length' | 'chunks'): Promise<RawClient> {
      const line = framing === 'chunks' ? 'Transfer-Encoding: chunked' : `Content-Length: ${5 + REST.length}`
      client.write(`POST / HTTP/1.1\r\nHost: test\r\n${line}\r\n\r\n`)
      client.write(framing === 'chunks' ? asChunk('begin') : 'begin')
      const connection = await upstream.connection()
      await connection.untilText('begin')
      return connection
    }

    async function expectNextServed(): Promise<void> {
      client.request('GET', '/next')
      const next = await upstream.connection()
      expect(await next.untilText('\r\n\r\n')).to.match(/^GET \/next /)
      next.write(answer())
      expect((await client.response()).body.toString()).to.equal('ok')
    }

    for (const framing of ['Content-Length', 'chunks'] as const) {
      for (const connectionLine of ['', 'Connection: close\r\n']) {
        it(`delivers a 413 during an upload with ${framing}, and serves the next request (upstream says "${connectionLine.trim()}")`, async () => {
          const connection = await beginUpload(framing)
          connection.write(`HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n${connectionLine}\r\nbig`)
          const response = await client.response()
          expect(response.status).to.equal(413)
          expect(response.body.toString()).to.equal('big')
          if (framing === 'chunks') client.write(asChunk(REST), lastChunk)
          else client.write(REST)
          await expectNextServed()
          expect(connection.pending.includes(lastChunk)).to.equal(false)
        })
      }
    }

    it('delivers an answer that begins during the upload and ends before it, and serves the next request', async () => {
      const connection = await beginUpload('chunks')
      connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
      connection.write(asChunk('enough'))
      await client.until((bytes) => (bytes.includes('enough') ? true : undefined))
      client.write(asChunk('more'))
      await connection.untilText('more')
      connection.write(lastChunk)
      expect((await client.response()).body.toString()).to.equal('enough')
      client.write(asChunk(REST), lastChunk)
      await expectNextServed()
    })

    it('continues an upload that a streamed answer replies to, although the connection ends after it', async () => {
      const connection = await beginUpload('chunks')
      connection.write('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nfirst')
      await client.until((bytes) => (bytes.includes('first') ? true : undefined))
      client.write(asChunk('more'))
      await connection.untilText('more')
      connection.write('second')
      await client.until((bytes) => (bytes.includes('second') ? true : undefined))
      client.write(lastChunk)
      await connection.untilText(lastChunk)
      connection.socket.end()
      expect((await client.response()).body.toString()).to.equal('firstsecond')
    })

    it('continues an upload that an answer with a length replies to, although the connection ends after it', async () => {
      const connection = await beginUpload('chunks')
      connection.write('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 11\r\n\r\nfirst')
      await client.until((bytes) => (bytes.includes('first') ? true : undefined))
      client.write(asChunk('more'), lastChunk)
      await connection.untilText(lastChunk)
      connection.write('second')
      expect((await client.response()).body.toString()).to.equal('firstsecond')
    })

    for (const status of ['404 Not Found', '500 Internal Server Error']) {
      it(`continues an upload for which a streamed ${status} waits, and keeps both connections`, async () => {
        const connection = await beginUpload('chunks')
        connection.write(`HTTP/1.1 ${status}\r\nTransfer-Encoding: chunked\r\n\r\n`, asChunk('first'))
        await client.until((bytes) => (bytes.includes('first') ? true : undefined))
        client.write(asChunk('more'), lastChunk)
        await connection.untilText(`more\r\n${lastChunk}`)
        connection.write(asChunk('second'), lastChunk)
        expect((await client.response()).body.toString()).to.equal('firstsecond')
        client.request('GET', '/next')
        await connection.untilText('GET /next')
      })
    }

    it('reads the whole upload of a client that does not read yet, although its upstream has gone', async function () {
      needsOwnClient(this, 'undici cuts the answer off as soon as it cannot send the upload')
      const connection = await beginUpload('chunks')
      client.socket.pause()
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\n\r\n')
      connection.write(Buffer.alloc(19_000_000))
      // By then all buffers are full, and the proxy has ceased to read the answer.
      const { url } = await serve((_req, res) => res.end())
      await standstill(url, () => server.connections[0]!.bytesWritten)
      connection.socket.resetAndDestroy()
      await new Promise((resolve) => client.socket.write(asChunk(Buffer.alloc(20_000_000)), resolve))
      client.socket.resume()
      expect(await client.untilText('\r\n\r\n')).to.match(/^HTTP\/1.1 200 /)
      await client.closed()
    })

    it('does not count the time for which it holds an upload up as silence of the upstream', async () => {
      server = await serve(express().use(passthroughProxy(upstream.url, { idleTimeoutMs: 400 })))
      client = await RawClient.connect(server.port)
      const connection = await beginUpload('chunks')
      connection.write('HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n', asChunk('first'))
      client.write(asChunk('more'), lastChunk)
      await connection.untilText(`more\r\n${lastChunk}`)
      connection.write(asChunk('second'), lastChunk)
      expect((await client.response()).body.toString()).to.equal('firstsecond')
    })

    it('ends the connection of a client that uploads without end after the answer', async () => {
      const connection = await beginUpload('chunks')
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
      const connection = await beginUpload('Content-Length')
      connection.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n')
      expect((await client.response()).status).to.equal(403)
      await client.closed()
    })
  })
}
