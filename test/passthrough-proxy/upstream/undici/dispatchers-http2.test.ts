import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from 'node:http2'
import { expect } from 'chai'
import { listen } from '../../../support/servers/servers.js'
import { certificate, key } from '../../../support/servers/tls-certificate.js'
import { undiciVersions, type Undici } from '../../../support/undici/undici-versions.js'
import { endAll, HANDSHAKE, keep, startProxy, type Started } from './dispatchers.js'

for (const [version, load] of undiciVersions) {
  describe(`passthroughProxy with a dispatcher of ${version}`, () => {
    let undici: Undici

    before(async () => {
      undici = await load()
    })
    afterEach(endAll)

    describe('over HTTP/2', () => {
      async function overHttp2(server: Http2SecureServer): Promise<Started> {
        const { port } = await listen(server)
        const dispatcher = keep(new undici.Agent({ allowH2: true, connect: { ca: certificate } }))
        return startProxy(`https://localhost:${port}`, dispatcher)
      }

      it('passes on head and body both ways', async () => {
        const server = createSecureServer({ key, cert: certificate }, (req, res) => {
          res.writeHead(203, {
            'X-Seen': `${req.httpVersion} ${req.method} ${req.url}`,
            'Set-Cookie': ['a=1', 'b=2'],
          })
          req.pipe(res)
        })
        const { client } = await overHttp2(server)
        for (const body of [undefined, 'with a length', ['in ', 'chunks']]) {
          client.request(body === undefined ? 'GET' : 'POST', '/h2?x', {}, body)
          const response = await client.response()
          expect([response.status, response.reason]).to.deep.equal([203, 'Non-Authoritative Information'])
          expect(response.headers['x-seen']?.[0]).to.match(/^2\.0 (?:GET|POST) \/h2\?x$/)
          expect(response.headers['set-cookie']).to.deep.equal(['a=1', 'b=2'])
          expect(response.body.toString()).to.equal(body === undefined ? '' : [body].flat().join(''))
        }
      })

      it('passes on trailers after the whole body, or gives an error if it cannot', async () => {
        const server = createSecureServer({ key, cert: certificate })
        server.on('stream', (stream) => {
          stream.on('error', () => {})
          stream.respond({}, { waitForTrailers: true })
          stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '9' }))
          stream.end(Buffer.alloc(300_000, 'x'))
        })
        const { client, errors } = await overHttp2(server)
        client.request('GET', '/', { TE: 'trailers' })
        if (version === 'undici 7') {
          await client.closed()
          expect(errors[0]?.message).to.contain('trailers over HTTP/2')
        } else {
          const got = await client.untilText('0\r\nx-sum: 9\r\n\r\n')
          expect(got.match(/x/g)?.length).to.be.above(300_000)
        }
      })

      for (const enableConnectProtocol of [false, true]) {
        it(`refuses a WebSocket, and says why (extended CONNECT: ${enableConnectProtocol})`, async () => {
          const server = createSecureServer({ key, cert: certificate, settings: { enableConnectProtocol } })
          server.on('stream', (stream) => {
            stream.on('error', () => {})
            stream.respond({ ':status': 200 })
          })
          const { client, errors } = await overHttp2(server)
          client.write(`GET / HTTP/1.1\r\nHost: test\r\n${HANDSHAKE}\r\n`)
          expect((await client.response()).status).to.equal(502)
          expect(errors.map(({ code }) => code)).to.deep.equal(['ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE'])
          expect(errors[0]?.message).to.contain('use a dispatcher without allowH2')
        })
      }

      it('sends a request again that an orderly GOAWAY did not let through', async () => {
        const server = createSecureServer({ key, cert: certificate })
        const heard: string[] = []
        server.on('request', (req: Http2ServerRequest, res: Http2ServerResponse) => {
          heard.push(req.url)
          // Only the stream of the first request is said to be heard.
          if (heard.length === 2) req.stream.session?.goaway(0, 1)
          else res.end('fine')
        })
        const { client, errors } = await overHttp2(server)
        for (const path of ['/first', '/second']) {
          client.request('GET', path)
          expect((await client.response()).body.toString()).to.equal('fine')
        }
        expect(heard).to.deep.equal(['/first', '/second', '/second'])
        expect(errors).to.deep.equal([])
      })
    })
  })
}
