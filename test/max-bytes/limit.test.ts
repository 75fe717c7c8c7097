import { buffer } from 'node:stream/consumers'
import { expect } from 'chai'
import { maxBytes } from 'sluiceway/max-bytes'
import { asChunk, lastChunk, RawClient } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { closeServers, serve } from '../support/servers/servers.js'

/** Answers with the number of bytes it read. */
const countBytes: Handler = (req, res, next) => {
  buffer(req).then(({ length }) => res.end(String(length)), next)
}

for (const { name, mount } of hosts) {
  describe(`maxBytes on ${name}`, () => {
    afterEach(closeServers)

    describe('with an announced length', () => {
      it('refuses before a later handler runs and before a byte of the body', async () => {
        let reached = false
        const { port } = await serve(
          mount(maxBytes(10), () => {
            reached = true
          }),
        )
        const client = await RawClient.connect(port)
        client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n')
        const { status, headers } = await client.response()
        expect([status, headers['connection'], reached]).to.deep.equal([413, ['close'], false])
      })

      it('lets a body of exactly the limit through', async () => {
        const { url } = await serve(mount(maxBytes(10), countBytes))
        expect(await (await fetch(url, { method: 'POST', body: '1234567890' })).text()).to.equal('10')
      })

      it('refuses every body, but no request without one, with limit 0', async () => {
        const { url } = await serve(mount(maxBytes(0), countBytes))
        expect((await fetch(url, { method: 'POST', body: '1' })).status).to.equal(413)
        expect(await (await fetch(url, { method: 'POST' })).text()).to.equal('0')
        expect(await (await fetch(url)).text()).to.equal('0')
      })
    })

    describe('with a chunked body', () => {
      it('lets exactly the limit through and keeps the connection', async () => {
        const { port, connections } = await serve(mount(maxBytes(10), countBytes))
        const client = await RawClient.connect(port)
        for (let round = 0; round < 2; round++) {
          client.request('POST', '/', {}, ['12345', '67890'])
          expect((await client.response()).body.toString()).to.equal('10')
        }
        expect(connections).to.have.length(1)
        client.destroy()
      })

      for (const coding of ['chunked', 'ChunKed']) {
        it(`refuses at the first byte past the limit (Transfer-Encoding: ${coding})`, async () => {
          const { port } = await serve(mount(maxBytes(10), countBytes))
          const client = await RawClient.connect(port)
          client.write(`POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ${coding}\r\n\r\n`)
          client.write(asChunk('1234567890'))
          client.write(asChunk('1'))
          const { status, headers } = await client.response()
          expect([status, headers['connection']]).to.deep.equal([413, ['close']])
        })
      }

      it('shows a reader no byte past the limit', async () => {
        const seen: Buffer[] = []
        const reader: Handler = (req, _res, next) => {
          req.on('data', (chunk: Buffer) => seen.push(chunk))
          req.on('error', next)
        }
        const { port } = await serve(mount(maxBytes(10), reader))
        const client = await RawClient.connect(port)
        client.request('POST', '/', {}, ['123456', '7890abc', 'def'])
        expect((await client.response()).status).to.equal(413)
        expect(Buffer.concat(seen).toString()).to.equal('1234567890')
      })

      it('gives the reader the limit and the bytes received', async () => {
        const reader: Handler = (req, res) => {
          buffer(req).catch((error: Record<string, unknown>) => {
            const { status, type, code, limit, received, expose } = error
            res.statusCode = 413
            res.end(JSON.stringify({ status, type, code, limit, received, expose }))
          })
        }
        const { port } = await serve(mount(maxBytes(10), reader))
        const client = await RawClient.connect(port)
        client.request('POST', '/', {}, ['12345678901'])
        expect(JSON.parse((await client.response()).body.toString())).to.deep.equal({
          status: 413,
          type: 'entity.too.large',
          code: 'ERR_SLUICEWAY_BODY_TOO_LARGE',
          limit: 10,
          received: 11,
          expose: true,
        })
      })
    })

    describe('more than once on a route', () => {
      for (const limits of [
        [5, 100],
        [100, 5],
        [5, 5, 100],
      ]) {
        it(`applies the smallest of ${limits.join(', ')}`, async () => {
          const { port } = await serve(mount(...limits.map((limit) => maxBytes(limit)), countBytes))
          const client = await RawClient.connect(port)
          client.request('POST', '/', {}, ['12345', '6'])
          expect((await client.response()).status).to.equal(413)
          const other = await RawClient.connect(port)
          other.request('POST', '/', {}, ['123', '45'])
          expect((await other.response()).body.toString()).to.equal('5')
          other.destroy()
        })
      }
    })

    it('separates pipelined requests as without maxBytes', async () => {
      const { port } = await serve(mount(maxBytes(10), countBytes))
      const client = await RawClient.connect(port)
      const head = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'
      const one = `${head}${asChunk('12').toString()}${lastChunk}`
      client.write(one + one + one)
      for (let round = 0; round < 3; round++) expect((await client.response()).body.toString()).to.equal('2')
      client.destroy()
    })
  })
}
