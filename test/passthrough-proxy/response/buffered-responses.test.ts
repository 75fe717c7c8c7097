import { Transform } from 'node:stream'
import { expect } from 'chai'
import { withEntry } from '../../support/error-entry.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { proxied, request } from '../../support/servers/proxied.js'
import { answer } from '../../support/servers/scripted-upstream.js'
import { closeServers } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'
import { needsOwnClient } from '../../support/undici/transports.js'
import { transformOf, upperCase } from '../hook-bodies/transforms.js'

for (const { name, express } of expressVersions) {
  describe(`incoming.buffer() of passthroughProxy (${name})`, () => {
    afterEach(closeServers)

    it('reads the whole body, and passes on the same bytes with their headers', async () => {
      const { exchange } = await proxied({
        express,
        async onResponse(incoming) {
          const first = await incoming.buffer()
          expect((await incoming.buffer({ limit: 5 })).equals(first)).to.equal(true)
          incoming.headers.set('X-Sum', String(first.length))
        },
      })
      for (const text of ['hello', '']) {
        const { response } = await exchange(request('GET', '/'), answer(text, 'ETag: "a"\r\n'))
        expect(response.body.toString()).to.equal(text)
        expect(response.headers).to.deep.include({
          'x-sum': [String(text.length)],
          'content-length': [String(text.length)],
          etag: ['"a"'],
        })
      }
    })

    it('waits for the rest of a body, and passes on its trailers', async () => {
      const { client, upstream } = await proxied({
        express,
        onResponse: async (incoming) => void (await incoming.buffer()),
      })
      client.request('GET', '/')
      const connection = await upstream.connection()
      connection.write('HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n')
      connection.write('2\r\ncd\r\n0\r\nX-Sum: 1\r\n\r\n')
      expect(await client.response()).to.deep.include({ body: Buffer.from('abcd'), trailers: ['X-Sum: 1'] })
    })

    it('reads what came out of the transforms before', async () => {
      const { exchange } = await proxied({
        express,
        async onResponse(incoming) {
          const bytes = await incoming.pipeThrough(upperCase()).buffer()
          incoming.replace(`${bytes.toString()}!`)
        },
      })
      expect((await exchange(request('GET', '/'), answer('old'))).response.body.toString()).to.equal('OLD!')
    })

    it('reads strings of a transform of objects as UTF-8', async () => {
      const { exchange } = await proxied({
        express,
        async onResponse(incoming) {
          const strings = new Transform({
            readableObjectMode: true,
            transform: (chunk: Buffer, _encoding, done) => done(null, `${chunk.toString()}é`),
          })
          incoming.headers.set('X-Length', String((await incoming.pipeThrough(strings).buffer()).length))
        },
      })
      const { response } = await exchange(request('GET', '/'), answer('a'))
      expect(response.headers['x-length']).to.deep.equal(['3'])
      expect(response.body.toString()).to.equal('aé')
    })

    it('reads a HEAD as empty, and leaves its length open', async () => {
      const { exchange } = await proxied({
        express,
        async onResponse(incoming) {
          expect((await incoming.buffer()).length).to.equal(0)
        },
      })
      const { response } = await exchange(
        request('HEAD', '/'),
        'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n',
      )
      expect(response.headers['content-length']).to.equal(undefined)
    })

    it('answers 502 to a body beyond the limit, and names it; the upstream is left', async () => {
      const { client, upstream, errors } = await proxied({
        express,
        onResponse: async (incoming) => void (await incoming.buffer({ limit: 10 })),
      })
      client.request('GET', '/')
      const connection = await upstream.connection()
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n01234567890123456789')
      expect((await client.response()).status).to.equal(502)
      expect(errors[0]).to.include({
        message: withEntry(
          'passthroughProxy: the body is larger than the limit of 10 bytes of buffer({ limit })',
          'ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE',
        ),
        limit: 10,
      })
      await connection.closed()
    })

    it('waits even if the hook does not, and shows the failure', async () => {
      const { exchange, errors } = await proxied({
        express,
        onResponse: (incoming) => void incoming.buffer({ limit: 3 }),
      })
      expect((await exchange(request('GET', '/'), answer('abc'))).response.body.toString()).to.equal('abc')
      expect((await exchange(request('GET', '/'), answer('abcd'))).response.status).to.equal(502)
      expect(errors).to.have.length(1)
    })

    it('does not send a body that was too large, if the hook only catches the error', async () => {
      const { exchange, errors } = await proxied({
        express,
        onResponse: async (incoming) => void (await incoming.buffer({ limit: 3 }).catch(() => {})),
      })
      expect((await exchange(request('GET', '/'), answer('abcd'))).response.status).to.equal(502)
      expect(errors).to.have.length(1)
    })

    for (const [what, change] of [
      [
        'pipeThrough()',
        (incoming: never) => (incoming as { pipeThrough(t: unknown): void }).pipeThrough(upperCase()),
      ],
      ['replace()', (incoming: never) => (incoming as { replace(t: unknown): void }).replace('x')],
      ['decode()', (incoming: never) => (incoming as { decode(): void }).decode()],
    ] as const) {
      it(`must be awaited before ${what}`, async () => {
        const { exchange, errors } = await proxied({
          express,
          onResponse(incoming) {
            void incoming.buffer()
            change(incoming as never)
          },
        })
        expect((await exchange(request('GET', '/'))).response.status).to.equal(500)
        expect(errors[0]?.cause).to.include({ message: `${what} must wait for the promise of buffer()` })
      })
    }

    it('rejects when the client leaves, and the upstream is left', async () => {
      const asked = deferred()
      const rejected = deferred<Error>()
      const { client, upstream } = await proxied({
        express,
        async onResponse(incoming) {
          asked.resolve()
          await incoming.buffer().catch(rejected.resolve)
        },
      })
      client.request('GET', '/')
      const connection = await upstream.connection()
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf')
      await asked.promise
      client.destroy()
      expect((await rejected.promise).message).to.equal('the response was closed before its end')
      await connection.closed()
    })

    it('rejects with the failure of the upstream, which the client gets at once', async () => {
      const rejected = deferred<Error>()
      const { client, upstream } = await proxied({
        express,
        async onResponse(incoming) {
          await incoming.buffer().catch(rejected.resolve)
          await new Promise(() => {})
        },
      })
      client.request('GET', '/')
      const connection = await upstream.connection()
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf')
      connection.socket.end()
      expect((await client.response()).status).to.equal(502)
      expect(await rejected.promise).to.include({ code: 'ERR_SLUICEWAY_UPSTREAM_RESET' })
    })

    it('throws for a wrong limit', async () => {
      const { exchange, errors } = await proxied({
        express,
        onResponse: (incoming) => void incoming.buffer({ limit: '10x' }),
      })
      expect((await exchange(request('GET', '/'))).response.status).to.equal(500)
      expect(String(errors[0]?.cause)).to.match(/^\w+: buffer: option "limit" must be/)
    })

    it('reads no more than the limit and a little from the upstream', async function () {
      needsOwnClient(this, 'undici reads on into its own buffers')
      const stuck = transformOf(() => {})
      const { client, upstream } = await proxied({
        express,
        onResponse: async (incoming) => void (await incoming.pipeThrough(stuck).buffer()),
      })
      client.request('GET', '/')
      const connection = await upstream.connection()
      expect(connection.write(Buffer.alloc(64 * 1024 * 1024))).to.equal(false)
      client.destroy()
      await connection.closed()
    })
  })
}
