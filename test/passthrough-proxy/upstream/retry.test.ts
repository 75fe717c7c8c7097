import { expect } from 'chai'
import { passthroughProxy } from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { answer, scriptedUpstream, type ScriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { needsOwnClient } from '../../support/undici/transports.js'

const NO_RETRY = 'undici repeats nothing, and does not tell whether a connection is a kept one'

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy on a kept connection that dies (${name})`, () => {
    let upstream: ScriptedUpstream
    let client: RawClient
    let kept: RawClient
    let port: number

    beforeEach(async () => {
      upstream = await scriptedUpstream()
      ;({ port } = await serve(express().use(passthroughProxy(upstream.url))))
      client = await RawClient.connect(port)
      client.request('GET', '/first')
      kept = await upstream.connection()
      await kept.untilText('\r\n\r\n')
      kept.write(answer())
      await client.response()
    })
    afterEach(closeServers)

    for (const method of ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']) {
      it(`sends a ${method} without a body once more, on a fresh connection`, async function () {
        needsOwnClient(this, NO_RETRY)
        client.request(method, '/again')
        await kept.untilText('/again')
        kept.socket.resetAndDestroy()
        const fresh = await upstream.connection()
        expect(await fresh.untilText('\r\n\r\n')).to.match(new RegExp(`^${method} /again `))
        fresh.write(method === 'HEAD' ? 'HTTP/1.1 200 OK\r\n\r\n' : answer())
        expect((await client.response({ head: method === 'HEAD' })).status).to.equal(200)
        expect(upstream.accepted).to.equal(2)
      })
    }

    for (const rest of ['\0', '\r\n', 'left over', `left over${answer('of the first')}`]) {
      it(`sends a GET once more whose answer begins with bytes behind an earlier one: ${JSON.stringify(rest)}`, async function () {
        needsOwnClient(this, NO_RETRY)
        client.request('GET', '/again')
        await kept.untilText('/again')
        kept.write(rest)
        await kept.closed()
        const fresh = await upstream.connection()
        await fresh.untilText('GET /again ')
        fresh.write(answer('of its own'))
        expect(String((await client.response()).body)).to.equal('of its own')
        expect(upstream.accepted).to.equal(2)
      })
    }

    it('does not send one a third time whose answer begins with such bytes on a fresh connection too', async function () {
      needsOwnClient(this, NO_RETRY)
      client.request('GET', '/again')
      await kept.untilText('/again')
      kept.write('not HTTP')
      const fresh = await upstream.connection()
      await fresh.untilText('/again')
      fresh.write('not HTTP')
      expect((await client.response()).status).to.equal(502)
      expect(upstream.accepted).to.equal(2)
    })

    it('does not repeat a POST whose answer begins with such bytes', async () => {
      client.request('POST', '/once')
      await kept.untilText('/once')
      kept.write('left over')
      expect((await client.response()).status).to.equal(502)
      expect(upstream.accepted).to.equal(1)
    })

    it('does not repeat a GET that was answered by a broken head', async () => {
      client.request('GET', '/once')
      await kept.untilText('/once')
      kept.write('HTTP/1.1 2000 OK\r\n\r\n')
      expect((await client.response()).status).to.equal(502)
      expect(upstream.accepted).to.equal(1)
    })

    it('does not try a third time', async function () {
      needsOwnClient(this, NO_RETRY)
      client.request('GET', '/again')
      await kept.untilText('/again')
      kept.socket.end()
      const fresh = await upstream.connection()
      await fresh.untilText('/again')
      fresh.socket.end()
      expect((await client.response()).status).to.equal(502)
      expect(upstream.accepted).to.equal(2)
    })

    for (const [what, method, body] of [
      ['a POST', 'POST', undefined],
      ['a PATCH', 'PATCH', undefined],
      ['a PUT with a body', 'PUT', 'body'],
      ['a GET with a body in chunks', 'GET', ['bo', 'dy']],
    ] as [string, string, string | string[] | undefined][]) {
      it(`does not repeat ${what}`, async () => {
        client.request(method, '/once', {}, body)
        await kept.untilText('/once')
        kept.socket.resetAndDestroy()
        expect((await client.response()).status).to.equal(502)
        expect(upstream.accepted).to.equal(1)
      })
    }

    it('does not repeat a request that was already answered by 103', async () => {
      client.request('GET', '/once')
      await kept.untilText('/once')
      kept.write('HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n')
      expect(await client.untilText('\r\n\r\n')).to.match(/^HTTP\/1.1 103 /)
      kept.socket.resetAndDestroy()
      expect((await client.response()).status).to.equal(502)
      expect(upstream.accepted).to.equal(1)
    })

    it('does not repeat a request whose client has left', async () => {
      client.request('GET', '/once')
      await kept.untilText('/once')
      client.socket.resetAndDestroy()
      await kept.closed()
      const next = await RawClient.connect(port)
      next.request('GET', '/next')
      const fresh = await upstream.connectionWith('GET /next ')
      expect(fresh.pending.toString()).to.match(/^GET \/next /)
      fresh.write(answer())
      expect((await next.response()).status).to.equal(200)
    })

    it('serves a POST on a fresh connection if the kept one has ended while it was idle', async () => {
      kept.socket.end()
      await kept.closed()
      client.request('POST', '/later', {}, 'body')
      const fresh = await upstream.connection()
      await fresh.untilText('body')
      fresh.write(answer())
      expect((await client.response()).status).to.equal(200)
    })

    it('does not repeat a request that was answered in part', async () => {
      client.request('GET', '/once')
      await kept.untilText('/once')
      kept.socket.end('HTTP/1.1 200 ')
      expect((await client.response()).status).to.equal(502)
      expect(upstream.accepted).to.equal(1)
    })
  })
}

describe('passthroughProxy on a fresh connection that dies', () => {
  afterEach(closeServers)

  it('does not repeat a GET', async () => {
    const upstream = await scriptedUpstream()
    const { port } = await serve(expressVersions[0].express().use(passthroughProxy(upstream.url)))
    const client = await RawClient.connect(port)
    client.request('GET', '/')
    const connection = await upstream.connection()
    await connection.untilText('\r\n\r\n')
    connection.socket.end()
    expect((await client.response()).status).to.equal(502)
    expect(upstream.accepted).to.equal(1)
  })
})
