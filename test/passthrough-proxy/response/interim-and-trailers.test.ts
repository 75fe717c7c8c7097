import { expect } from 'chai'
import { bodyCache, passthroughProxy } from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import type { Handler } from '../../support/express/hosts.js'
import { answer, scriptedUpstream, type ScriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { needsOwnClient } from '../../support/undici/transports.js'

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy and interim responses and trailers (${name})`, () => {
    let upstream: ScriptedUpstream
    let client: RawClient

    beforeEach(async () => {
      upstream = await scriptedUpstream()
      const { port } = await serve(express().use(passthroughProxy(upstream.url)))
      client = await RawClient.connect(port)
    })
    afterEach(closeServers)

    it('passes on 103 before the answer exists', async () => {
      client.request('GET', '/')
      const connection = await upstream.connection()
      connection.write(
        'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nLink: </b.js>; rel=preload\r\nX-Hint: 1\r\n\r\n',
      )
      const hints = await client.untilText('\r\n\r\n')
      expect(hints).to.match(/^HTTP\/1\.1 103 Early Hints\r\n/)
      expect(hints).to.contain('</a.css>; rel=preload, </b.js>; rel=preload').and.contain('x-hint: 1')
      connection.write(answer())
      expect((await client.response()).status).to.equal(200)
    })

    it('passes on 102', async () => {
      client.request('GET', '/')
      const connection = await upstream.connection()
      connection.write('HTTP/1.1 102 Processing\r\n\r\n')
      expect(await client.untilText('\r\n\r\n')).to.equal('HTTP/1.1 102 Processing\r\n\r\n')
      connection.write(answer())
      expect((await client.response()).status).to.equal(200)
    })

    it('passes on the links of a 103 one by one, also several of one line, without those that Node refuses', async () => {
      client.request('GET', '/')
      const connection = await upstream.connection()
      connection.write(
        'HTTP/1.1 103 Early Hints\r\nLink: </a,b.css>; rel="preload"; as=style,' +
          '</c.jpg>; rel=preload; imagesrcset="/c.jpg 1x, </d.jpg> 2x" , </e.js?f=1>; rel=preload; crossorigin\r\n' +
          'Link: not a link\r\nLink: </f>;rel=x, not a link\r\n\r\n',
      )
      expect(await client.untilText('\r\n\r\n')).to.equal(
        'HTTP/1.1 103 Early Hints\r\n' +
          'Link: </a,b.css>; rel="preload"; as=style, </e.js?f=1>; rel=preload; crossorigin, </f>;rel=x\r\n\r\n',
      )
      connection.write(answer())
      expect((await client.response()).status).to.equal(200)
    })

    it('answers as usual after a 103 that Node would refuse', async () => {
      client.request('GET', '/')
      const connection = await upstream.connection()
      connection.write(`HTTP/1.1 103 Early Hints\r\nLink: not a link\r\n\r\n${answer()}`)
      expect((await client.response()).status).to.equal(200)
    })

    it('answers as usual after a 103 that a method of the application refuses', async () => {
      const refuse: Handler = (_req, res, next) => {
        res.writeEarlyHints = () => {
          throw new Error('no hints')
        }
        next()
      }
      const { port } = await serve(express().use(refuse, passthroughProxy(upstream.url)))
      const asking = await RawClient.connect(port)
      asking.request('GET', '/')
      const connection = await upstream.connection()
      connection.write(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${answer()}`)
      expect((await asking.response()).status).to.equal(200)
    })

    it('sends no interim responses to an HTTP/1.0 client', async () => {
      client.write('GET / HTTP/1.0\r\n\r\n')
      const connection = await upstream.connection()
      connection.write(
        `HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>; rel=x\r\n\r\n${answer()}`,
      )
      expect((await client.response()).status).to.equal(200)
    })

    it('does not send Expect to the upstream', async () => {
      client.write('POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n')
      expect(await client.untilText('\r\n\r\n')).to.equal('HTTP/1.1 100 Continue\r\n\r\n')
      client.write('body')
      const connection = await upstream.connection()
      expect(await connection.untilText('body')).not.to.match(/expect/i)
      connection.write(answer())
      expect((await client.response()).status).to.equal(200)
    })

    it('leaves 100 Continue before the head of an answer that waits for its turn', async function () {
      needsOwnClient(this, 'undici sends a head only together with the first bytes of its body')
      client.write('GET / HTTP/1.1\r\nHost: test\r\n\r\n')
      client.write('POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n')
      const [first, second] = [await upstream.connection(), await upstream.connection()]
      for (const connection of [first, second]) await connection.untilText('\r\n\r\n')
      second.write(answer('early'.repeat(5000)))
      // The proxy has read all of it, and its upload cannot be finished.
      await second.closed()
      first.write(answer('first'))
      expect((await client.response()).body.toString()).to.equal('first')
      expect(await client.untilText('\r\n\r\n')).to.equal('HTTP/1.1 100 Continue\r\n\r\n')
      expect((await client.response()).body.toString()).to.equal('early'.repeat(5000))
    })

    it('passes on trailers, except those that would frame or route', async () => {
      client.request('GET', '/', { TE: 'trailers' })
      const connection = await upstream.connection()
      connection.write(
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n' +
          '2\r\nok\r\n0\r\nX-Sum: 1\r\nX-Sum: 2\r\nSet-Cookie: a=1\r\n\r\n',
      )
      const head = await client.untilText('\r\n\r\n')
      expect(head).to.contain('Trailer: X-Sum')
      expect(await client.untilText('0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n')).to.equal(
        '2\r\nok\r\n0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n',
      )
    })

    for (const [what, before] of [
      ['', undefined],
      [' that bodyCache has kept', bodyCache()],
    ] as const) {
      it(`passes on the trailers of a request${what}`, async function () {
        needsOwnClient(this, 'undici sends no trailers')
        const app = express()
        if (before !== undefined) app.use(before)
        const { port } = await serve(app.use(passthroughProxy(upstream.url)))
        const sender = await RawClient.connect(port)
        sender.write(
          'POST / HTTP/1.1\r\nHost: test\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n',
        )
        const connection = await upstream.connection()
        const seen = await connection.untilText('X-Sum: 2\r\n\r\n')
        expect(seen)
          .to.contain('\r\nTrailer: X-Sum\r\n')
          .and.match(/ok\r\n0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n$/)
        connection.write(answer())
        expect((await sender.response()).status).to.equal(200)
        sender.destroy()
      })
    }

    for (const [when, first, rest] of [
      ['comes with its head', 'ok', ''],
      ['comes later', '', 'ok'],
    ] as const) {
      it(`announces no trailers of a request whose body has a length and ${when}`, async () => {
        client.write(`POST / HTTP/1.1\r\nHost: test\r\nTrailer: X-Sum\r\nContent-Length: 2\r\n\r\n${first}`)
        const connection = await upstream.connection()
        client.write(rest)
        expect(await connection.untilText('ok')).not.to.match(/x-sum/i)
        connection.write(answer())
        expect((await client.response()).status).to.equal(200)
      })
    }

    it('announces no trailers if the answer has Content-Length', async () => {
      client.request('GET', '/')
      const connection = await upstream.connection()
      connection.write(answer('ok', 'Trailer: X-Sum\r\n'))
      const response = await client.response()
      expect(response.headers).not.to.have.property('trailer')
      expect(response.body.toString()).to.equal('ok')
    })
  })
}
