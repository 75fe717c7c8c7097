import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import rawBody from 'raw-body'
import { bodyCache, maxBytes } from 'sluiceway'
import { asChunk, lastChunk, RawClient } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { closeServers, serve } from '../support/servers/servers.js'

const readTwice: Handler = (req, res, next) => {
  rawBody(req)
    .then(async (first) => res.end(`${first.toString()}|${await text(req)}|${await req.bodyCache.text()}`))
    .catch(next)
}

for (const { name, mount } of hosts) {
  for (const order of ['maxBytes then bodyCache', 'bodyCache then maxBytes']) {
    describe(`${order} on ${name}`, () => {
      afterEach(closeServers)

      const chain = (limit: number): Handler[] => {
        const both = [maxBytes({ limit, lingerMs: 500 }), bodyCache()]
        return order.startsWith('maxBytes') ? both : both.toReversed()
      }

      it('lets a body within the limit be read again and again', async () => {
        const { port, connections } = await serve(mount(...chain(10), readTwice))
        const client = await RawClient.connect(port)
        for (const body of ['0123456789', ['01234', '56789']]) {
          client.request('POST', '/', {}, body)
          expect((await client.response()).body.toString()).to.equal('0123456789|0123456789|0123456789')
        }
        expect(connections).to.have.length(1)
        client.destroy()
      })

      it('refuses a chunked body past the limit for every reader', async () => {
        const seen: unknown[] = []
        const readers: Handler = async (req, _res, next) => {
          const outcomes = await Promise.allSettled([
            rawBody(req),
            req.bodyCache.text(),
            text(req.bodyCache.stream()),
          ])
          const late = await Promise.allSettled([req.bodyCache.json(), rawBody(req)])
          for (const outcome of [...outcomes, ...late]) {
            seen.push((outcome as { reason?: { code?: string } }).reason?.code)
          }
          next((outcomes[0] as PromiseRejectedResult).reason)
        }
        const { port } = await serve(mount(...chain(10), readers))
        const client = await RawClient.connect(port)
        client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
        client.write(asChunk('0123456789'), asChunk('x'))
        const { status, headers } = await client.response()
        expect([status, headers['connection']]).to.deep.equal([413, ['close']])
        expect(seen).to.deep.equal(Array.from({ length: 5 }, () => 'ERR_SLUICEWAY_BODY_TOO_LARGE'))
      })

      it('refuses an announced length past the limit at once', async () => {
        const { port } = await serve(mount(...chain(10), readTwice))
        const client = await RawClient.connect(port)
        client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n')
        expect((await client.response()).status).to.equal(413)
      })

      it('refuses on a route a body that was read whole under a larger limit before', async () => {
        const read: Handler = (req, _res, next) => void rawBody(req).then(() => next(), next)
        const { port } = await serve(mount(...chain(100), read, maxBytes(5), readTwice))
        const client = await RawClient.connect(port)
        client.request('POST', '/', {}, ['0123', '4567'])
        const { status, headers } = await client.response()
        expect([status, headers['connection']]).to.deep.equal([413, ['close']])
      })

      it('accepts a body whose last chunk ends exactly at the limit', async () => {
        const { port } = await serve(mount(...chain(10), readTwice))
        const client = await RawClient.connect(port)
        client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
        client.write(asChunk('0123456789'))
        client.write(lastChunk)
        expect((await client.response()).status).to.equal(200)
        client.destroy()
      })
    })
  }
}
