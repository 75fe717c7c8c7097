import { expect } from 'chai'
import { passthroughProxy } from 'sluiceway'
import { RawClient, type RawResponse } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { answer, scriptedUpstream, type ScriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { needsOwnClient } from '../../support/undici/transports.js'

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy and framing (${name})`, () => {
    let upstream: ScriptedUpstream
    let client: RawClient

    beforeEach(async () => {
      upstream = await scriptedUpstream()
      const { port } = await serve(express().use(passthroughProxy(upstream.url)))
      client = await RawClient.connect(port)
    })
    afterEach(closeServers)

    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      // CVE-2026-29057: a chunked DELETE or OPTIONS became Content-Length: 0 with the chunks behind it.
      it(`sends a chunked ${method} in chunks, on a connection that stays open`, async () => {
        const connection = await sendTwice(['smug', 'gled'])
        expect(connection.first).to.match(/\r\ntransfer-encoding: chunked\r\n/i)
        expect(connection.first).not.to.match(/content-length/i)
        expect(connection.first).to.match(/4\r\nsmug\r\n4\r\ngled\r\n0\r\n\r\n$|8\r\nsmuggled\r\n0\r\n\r\n$/)
      })

      it(`sends a ${method} with its Content-Length, on a connection that stays open`, async () => {
        const connection = await sendTwice('GET /evil HTTP/1.1\r\n\r\n')
        expect(connection.first).to.match(/\r\ncontent-length: 22\r\n/i)
        expect(connection.first).not.to.match(/transfer-encoding/i)
        expect(connection.first.endsWith('\r\n\r\nGET /evil HTTP/1.1\r\n\r\n')).to.equal(true)
      })

      async function sendTwice(body: string | string[]): Promise<{ first: string }> {
        client.request(method, '/', {}, body)
        const connection = await upstream.connection()
        const end = Array.isArray(body) ? '\r\n0\r\n\r\n' : body
        const first = await connection.untilText(end)
        connection.write(answer())
        await client.response()
        client.request('GET', '/next')
        expect(await connection.untilText('\r\n\r\n')).to.match(/^GET \/next /)
        connection.write(answer())
        await client.response()
        expect(upstream.accepted).to.equal(1)
        return { first }
      }
    }

    for (const method of ['GET', 'POST', 'DELETE', 'PROPFIND']) {
      it(`sends a ${method} with the Content-Length of 0 with which it came`, async function () {
        if (method === 'GET' || method === 'DELETE') {
          needsOwnClient(this, 'undici sends no Content-Length of 0 with a GET or DELETE')
        }
        client.write(`${method} / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n`)
        const connection = await upstream.connection()
        expect(await connection.untilText('\r\n\r\n')).to.match(/\r\ncontent-length: 0\r\n/i)
        connection.write(answer())
        expect((await client.response()).status).to.equal(200)
      })
    }

    it('reads "ChunKed" as chunked', async () => {
      client.write('POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: ChunKed\r\n\r\n3\r\nabc\r\n0\r\n\r\n')
      const connection = await upstream.connection()
      const seen = await connection.untilText('0\r\n\r\n')
      expect(seen).to.match(/\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n$/)
    })

    for (const [what, head] of [
      ['Content-Length beside Transfer-Encoding', 'Content-Length: 3\r\nTransfer-Encoding: chunked\r\n'],
      ['two lengths', 'Content-Length: 3\r\nContent-Length: 4\r\n'],
      ['another coding before chunked', 'Transfer-Encoding: gzip, chunked\r\n'],
      ['a space before the colon', 'Content-Length : 3\r\n'],
      ['a folded line', 'X-Folded: a\r\n b\r\n Content-Length: 3\r\n'],
    ] as const) {
      it(`refuses a request with ${what}`, async () => {
        client.write(`POST / HTTP/1.1\r\nHost: test\r\n${head}\r\n0\r\n\r\n`)
        expect((await client.response()).status).to.equal(400)
        expect(upstream.accepted).to.equal(0)
      })
    }

    for (const [why, lines] of [
      ['a transfer coding other than chunked', 'Host: test\r\nTransfer-Encoding: gzip, chunked'],
      ['more than one Host header', 'Host: test\r\nHost: evil.example\r\nTransfer-Encoding: chunked'],
    ] as const) {
      it(`tells the client why: ${why}`, async () => {
        client.write(`POST / HTTP/1.1\r\n${lines}\r\n\r\n0\r\n\r\n`)
        const { status, body } = await client.response()
        expect(status).to.equal(400)
        expect(body.toString()).to.contain(`the request cannot be passed on: ${why}`)
        expect(upstream.accepted).to.equal(0)
      })
    }

    /** Answers one request with raw bytes; gives the response and the upstream's end of the connection. */
    async function answeredOn(raw: string, method: string): Promise<[RawResponse, RawClient]> {
      client.request(method, '/')
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      connection.write(raw)
      return [await client.response({ head: method === 'HEAD' }), connection]
    }

    async function answered(raw: string): Promise<RawResponse> {
      return (await answeredOn(raw, 'GET'))[0]
    }

    it('answers with Content-Length if the upstream does', async () => {
      const { headers, body } = await answered(answer('hello'))
      expect(headers['content-length']).to.deep.equal(['5'])
      expect(headers).not.to.have.property('transfer-encoding')
      expect(body.toString()).to.equal('hello')
    })

    it('answers in chunks if the upstream does', async () => {
      const { headers, body } = await answered(
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
      )
      expect(headers['transfer-encoding']).to.deep.equal(['chunked'])
      expect(headers).not.to.have.property('content-length')
      expect(body.toString()).to.equal('hello')
    })

    it("answers in chunks if the end of the upstream's connection ends the body", async () => {
      client.request('GET', '/')
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      connection.socket.end('HTTP/1.1 200 OK\r\n\r\nhello')
      const { headers, body } = await client.response()
      expect(headers['transfer-encoding']).to.deep.equal(['chunked'])
      expect(body.toString()).to.equal('hello')
    })

    it('sends no chunks to an HTTP/1.0 client', async () => {
      client.write('GET / HTTP/1.0\r\n\r\n')
      const connection = await upstream.connection()
      connection.write(
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
      )
      const { head, body } = await client.response()
      expect(head).not.to.match(/transfer-encoding/i)
      expect(body.toString()).to.equal('hello')
    })

    for (const [what, method, raw, length] of [
      ['HEAD with Content-Length', 'HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n', ['500']],
      ['HEAD with chunks', 'HEAD', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', undefined],
      ['304 with Content-Length', 'GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n', ['500']],
      ['304', 'GET', 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n', undefined],
      ['204', 'GET', 'HTTP/1.1 204 No Content\r\n\r\n', undefined],
      [
        '204 with Content-Length',
        'DELETE',
        'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n',
        undefined,
      ],
    ] as const) {
      it(`passes on ${what} without a body, and keeps both connections`, async function () {
        if (/ (?:204|304) [^]*Content-Length/.test(raw)) {
          needsOwnClient(this, 'undici ends the connection after a 204 or 304 with Content-Length')
        }
        const [{ headers }, connection] = await answeredOn(raw, method)
        expect(headers['content-length']).to.deep.equal(length)
        expect(headers).not.to.have.property('transfer-encoding')
        client.request('GET', '/next')
        expect(await connection.untilText('\r\n\r\n')).to.match(/^GET \/next /)
        connection.write(answer())
        expect((await client.response()).body.toString()).to.equal('ok')
      })
    }

    it('recognises a coding that is followed by blanks', async () => {
      const { headers, body } = await answered(
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked \r\n\r\n5\r\nhello\r\n0\r\n\r\n',
      )
      expect([headers['transfer-encoding'], body.toString()]).to.deep.equal([['chunked'], 'hello'])
    })

    for (const [what, raw] of [
      ['Content-Length and then Transfer-Encoding', 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n'],
      ['Transfer-Encoding and then Content-Length', 'Transfer-Encoding: chunked\r\nContent-Length: 5\r\n'],
      ['two lengths', 'Content-Length: 5\r\nContent-Length: 6\r\n'],
      ['the same length twice', 'Content-Length: 5\r\nContent-Length: 5\r\n'],
      ['a length that is no number', 'Content-Length: 5x\r\n'],
      ['another coding', 'Transfer-Encoding: gzip\r\n'],
      ['another coding before chunked', 'Transfer-Encoding: gzip, chunked\r\n'],
    ] as const) {
      it(`answers 502 to a response with ${what}`, async () => {
        const { status } = await answered(`HTTP/1.1 200 OK\r\n${raw}\r\n5\r\nhello\r\n0\r\n\r\n`)
        expect(status).to.equal(502)
      })
    }
  })
}
