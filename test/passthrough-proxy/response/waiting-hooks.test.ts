import { expect } from 'chai'
import { asChunk, lastChunk } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { proxied, request } from '../../support/servers/proxied.js'
import { answer } from '../../support/servers/scripted-upstream.js'
import { closeServers } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'
import { needsOwnClient } from '../../support/undici/transports.js'
import { upperCase } from '../hook-bodies/transforms.js'

/** The head of an answer in chunks. */
const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy with a hook that waits for something (${name})`, () => {
    afterEach(closeServers)

    it('changes the head after it has waited, and passes on the body as it comes', async () => {
      const asked = deferred()
      const go = deferred()
      const { client, upstream } = await proxied({
        express,
        async onResponse(incoming) {
          asked.resolve()
          await go.promise
          incoming.headers.set('X-Late', '1')
          incoming.statusCode = 201
        },
      })
      client.request('GET', '/')
      const connection = await upstream.connection()
      connection.write(`${chunked}${String(asChunk('early'))}`)
      await asked.promise
      go.resolve()
      const head = await client.untilText('\r\n\r\n')
      expect(head)
        .to.match(/^HTTP\/1\.1 201 /)
        .and.include('X-Late: 1')
      await client.untilText('early')
      connection.write(asChunk('late'))
      await client.untilText('late')
      connection.write(lastChunk)
      await client.untilText(lastChunk)
    })

    for (const [what, body] of [
      ['a small answer', 'x'],
      ['an empty answer', ''],
      ['a large answer', 'x'.repeat(3_000_000)],
    ] as const) {
      it(`passes on ${what} with its length, also to the next request`, async () => {
        const { exchange } = await proxied({
          express,
          onResponse: async () => new Promise((resolve) => setImmediate(resolve)),
        })
        for (let n = 0; n < 2; n++) {
          const { response } = await exchange(request('GET', '/'), answer(body, 'ETag: "a"\r\n'))
          expect(response.body.toString() === body).to.equal(true)
          expect(response.headers).to.deep.include({
            etag: ['"a"'],
            'content-length': [String(body.length)],
          })
        }
      })
    }

    it('sends the head of a HEAD and the trailers of a body', async () => {
      const { exchange } = await proxied({ express, onResponse: async () => Promise.resolve() })
      const head = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'
      expect((await exchange(request('HEAD', '/'), head)).response.headers['content-length']).to.deep.equal([
        '5',
      ])
      const { response } = await exchange(
        request('GET', '/'),
        'HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Sum: 1\r\n\r\n',
      )
      expect(response.trailers).to.deep.equal(['X-Sum: 1'])
    })

    it('holds a read or two of the body, and then the upstream', async function () {
      needsOwnClient(this, 'undici reads on into its own buffers')
      const go = deferred()
      const { client, upstream } = await proxied({
        express,
        onResponse: async (incoming) => {
          await go.promise
          incoming.pipeThrough(upperCase())
        },
      })
      client.request('GET', '/')
      const connection = await upstream.connection()
      const body = 'x'.repeat(32 * 1024 * 1024)
      connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`)
      expect(connection.write(body)).to.equal(false)
      let drained = false
      connection.socket.on('drain', () => (drained = true))
      // Another request takes the same path meanwhile.
      expect(drained).to.equal(false)
      go.resolve()
      expect((await client.response()).body.equals(Buffer.from(body.toUpperCase()))).to.equal(true)
    })

    it('leaves another handler its answer, and the upstream', async () => {
      const { client, upstream, errors } = await proxied({
        express,
        async onResponse(_incoming, _req, res) {
          res.statusCode = 299
          res.end('mine')
          await Promise.resolve()
        },
      })
      client.request('GET', '/')
      const connection = await upstream.connection()
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n')
      expect(await client.response()).to.deep.include({ status: 299, body: Buffer.from('mine') })
      await connection.closed()
      expect(errors).to.deep.equal([])
    })
  })
}
