import { expect } from 'chai'
import type { RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { proxied, request } from '../../support/servers/proxied.js'
import { answer, type ScriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers } from '../../support/servers/servers.js'

/** Sends one more request, which must use a fresh connection and get the answer from there. */
async function expectOwnAnswer(client: RawClient, upstream: ScriptedUpstream): Promise<void> {
  client.write(request('GET', '/second'))
  const next = await upstream.connection()
  await next.untilText('GET /second ')
  next.write(answer('second'))
  expect((await client.response()).body.toString()).to.equal('second')
}

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy and hostile messages of an upstream (${name})`, () => {
    afterEach(closeServers)

    for (const [what, raw] of [
      ['two different codings', 'Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n'],
      ['chunked before identity', 'Transfer-Encoding: chunked, identity\r\n'],
      ['a space before the colon of a length', 'Content-Length : 5\r\n'],
      ['a folded line', 'X-Folded: a\r\n b\r\nContent-Length: 5\r\n'],
      ['a list of lengths', 'Content-Length: 5, 5\r\n'],
      ['a length with a sign', 'Content-Length: +5\r\n'],
      ['a negative length', 'Content-Length: -5\r\n'],
      ['a length past 2^53', 'Content-Length: 18446744073709551615\r\n'],
      ['CR alone in a value', 'X-A: 1\rSet-Cookie: evil=1\r\nContent-Length: 5\r\n'],
      ['LF alone between lines', 'X-A: 1\nX-B: 2\nContent-Length: 5\n'],
      ['an empty name', ': a\r\nContent-Length: 5\r\n'],
      ['a control character in a value', 'X-A: a\x01b\r\nContent-Length: 5\r\n'],
    ] as const) {
      it(`are a 502 with ${what}`, async () => {
        const { exchange } = await proxied({ express })
        const { response } = await exchange(request('GET', '/'), `HTTP/1.1 200 OK\r\n${raw}\r\nhello`)
        expect(response.status).to.equal(502)
        expect(response.head).not.to.match(/evil/)
      })
    }

    it('keep the greatest length that can be counted', async () => {
      const { exchange } = await proxied({ express })
      const { response } = await exchange(
        request('HEAD', '/'),
        'HTTP/1.1 200 OK\r\nContent-Length: 9007199254740991\r\n\r\n',
      )
      expect(response.headers['content-length']).to.deep.equal(['9007199254740991'])
    })

    it('are a 502 to a HEAD, with a length that cannot be counted', async () => {
      const { exchange } = await proxied({ express })
      const { response } = await exchange(
        request('HEAD', '/'),
        'HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n',
      )
      expect(response.status).to.equal(502)
    })

    it('do not become the answer to the next request: bytes after the end', async () => {
      const { client, upstream, exchange } = await proxied({ express })
      // CVE-2026-6733, nginx' proxy_extra_data: a second answer that nobody asked for.
      const poison = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison'
      const { response, connection } = await exchange(request('GET', '/first'), answer('first') + poison)
      expect(response.body.toString()).to.equal('first')
      await connection.closed()
      await expectOwnAnswer(client, upstream)
    })

    it('do not become the answer to the next request: one that comes late to an idle connection', async () => {
      const { client, upstream, exchange } = await proxied({ express })
      const { connection } = await exchange(request('GET', '/first'))
      connection.write(answer('poison'))
      await connection.closed()
      await expectOwnAnswer(client, upstream)
    })

    it('do not become the answer to the next request: a body after a HEAD, a 204 or a 304', async () => {
      for (const [method, status] of [
        ['HEAD', '200 OK'],
        ['GET', '204 No Content'],
        ['GET', '304 Not Modified'],
      ] as const) {
        const { client, upstream, exchange } = await proxied({ express })
        const poison = answer('poison')
        await exchange(
          request(method, '/'),
          `HTTP/1.1 ${status}\r\nContent-Length: ${poison.length}\r\n\r\n${poison}`,
        )
        await expectOwnAnswer(client, upstream)
      }
    })

    it('are not followed: the client gets a redirect to another origin, which gets no secrets of the client', async () => {
      const other = await proxied({ express })
      const { exchange, errors } = await proxied({ express })
      const { response } = await exchange(
        request('GET', '/', 'Authorization: Bearer secret', 'Cookie: session=secret'),
        `HTTP/1.1 307 Temporary Redirect\r\nLocation: ${other.upstream.url}/steal\r\nContent-Length: 0\r\n\r\n`,
      )
      expect(response.status).to.equal(307)
      expect(response.headers['location']).to.deep.equal([`${other.upstream.url}/steal`])
      expect(other.upstream.accepted).to.equal(0)
      expect(errors).to.have.length(0)
    })
  })
}
