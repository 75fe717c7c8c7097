import { expect } from 'chai'
import { expressVersions } from '../../support/express/express-versions.js'
import { proxied, request } from '../../support/servers/proxied.js'
import { answer } from '../../support/servers/scripted-upstream.js'
import { closeServers } from '../../support/servers/servers.js'
import { upperCase, Watched } from '../hook-bodies/transforms.js'

const describedBody = [
  'ETag: "a"',
  'Accept-Ranges: bytes',
  'Digest: sha-256=x',
  'Content-Digest: sha-256=:x:',
  'Repr-Digest: sha-256=:x:',
  'Content-MD5: x',
  'Last-Modified: Sat, 28 Nov 2026 10:00:00 GMT',
  'X-Kept: 1',
  '',
].join('\r\n')

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy, the headers of a response that a transform changes (${name})`, () => {
    afterEach(closeServers)

    it('lose those that describe the bytes, and the ETag becomes a weak one', async () => {
      const { exchange } = await proxied({
        express,
        onResponse: (incoming) => void incoming.pipeThrough(upperCase()),
      })
      const { response } = await exchange(request('GET', '/'), answer('body', describedBody))
      expect(Object.keys(response.headers)).to.have.members([
        'x-powered-by',
        'last-modified',
        'x-kept',
        'etag',
        'date',
        'connection',
        'keep-alive',
        'transfer-encoding',
      ])
      expect(response.headers['etag']).to.deep.equal(['W/"a"'])
    })

    it('keep a weak ETag, and those that the hook sets afterwards', async () => {
      const { exchange } = await proxied({
        express,
        onResponse(incoming) {
          incoming.pipeThrough(upperCase())
          incoming.headers.set('Content-Digest', 'of the hook')
          incoming.statusCode = 203
        },
      })
      const { response } = await exchange(request('GET', '/'), answer('body', 'ETag: W/"a"\r\n'))
      expect(response.status).to.equal(203)
      expect(response.headers).to.deep.include({ etag: ['W/"a"'], 'content-digest': ['of the hook'] })
    })

    for (const [what, sent, status] of [
      ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: "a"\r\nContent-Encoding: gzip\r\n\r\n', 200],
      ['204', 'HTTP/1.1 204 No Content\r\nETag: "a"\r\nContent-Encoding: gzip\r\n\r\n', 204],
      ['304', 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Encoding: gzip\r\n\r\n', 304],
    ] as const) {
      it(`are changed where no body follows too: ${what}; the transform is destroyed unused`, async () => {
        const stage = new Watched()
        const { exchange } = await proxied({
          express,
          onResponse: (incoming) => void incoming.decode().pipeThrough(stage),
        })
        const { response } = await exchange(request(what === 'HEAD' ? 'HEAD' : 'GET', '/'), sent)
        expect(response.status).to.equal(status)
        expect(response.headers['etag']).to.deep.equal(['W/"a"'])
        expect(response.headers).not.to.have.any.keys('content-length', 'content-encoding')
        expect(stage.destroyed).to.equal(true)
        expect(stage.seen).to.equal('')
      })
    }

    it('announce the trailers that are passed on, but no digest of other bytes', async () => {
      const { exchange } = await proxied({
        express,
        onResponse: (incoming) => void incoming.pipeThrough(upperCase()),
      })
      const { response } = await exchange(
        request('GET', '/'),
        'HTTP/1.1 200 OK\r\nTrailer: X-Sum, Content-Digest\r\nTransfer-Encoding: chunked\r\n\r\n' +
          '2\r\nab\r\n0\r\nX-Sum: 1\r\nContent-Digest: x\r\n\r\n',
      )
      expect(response.body.toString()).to.equal('AB')
      expect(response.headers['trailer']).to.deep.equal(['X-Sum'])
      expect(response.trailers).to.deep.equal(['X-Sum: 1'])
    })

    it('have the Content-Length that the hook sets', async () => {
      const { exchange } = await proxied({
        express,
        onResponse(incoming) {
          incoming.pipeThrough(upperCase())
          incoming.headers.set('Content-Length', '4')
        },
      })
      const { response } = await exchange(request('GET', '/'), answer('body'))
      expect(response.headers['content-length']).to.deep.equal(['4'])
      expect(response.body.toString()).to.equal('BODY')
    })
  })
}
