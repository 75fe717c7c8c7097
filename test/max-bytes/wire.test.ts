import { expect } from 'chai'
import { bodyCache, maxBytes } from 'sluiceway'
import { asChunk, lastChunk, RawClient } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { closeServers, serve } from '../support/servers/servers.js'

const bodies: Record<string, readonly [framing: string, body: Buffer]> = {
  'Content-Length': ['Content-Length: 2000', Buffer.alloc(2000)],
  chunks: [
    'Transfer-Encoding: chunked',
    Buffer.concat([asChunk(Buffer.alloc(2000)), Buffer.from(lastChunk)]),
  ],
}

const deleteFraming: Handler = (req, _res, next) => {
  delete req.headers['content-length']
  delete req.headers['transfer-encoding']
  next()
}

const readAll: Handler = (req, res, next) => {
  req
    .on('error', next)
    .on('end', () => res.end('whole'))
    .resume()
}

/** Node 20 keeps 1000 header lines and drops the others; later versions answer with an error of their own. */
const filler = (lines: number): string => 'a:\r\n'.repeat(lines)

for (const { name, mount } of hosts) {
  describe(`a body framed on the wire, on ${name}`, () => {
    afterEach(closeServers)

    async function statusOf(handlers: readonly Handler[], ...message: (string | Buffer)[]): Promise<number> {
      const { port } = await serve(mount(...handlers))
      const client = await RawClient.connect(port)
      client.write(...message)
      const { status } = await client.response()
      client.destroy()
      return status
    }

    for (const [framing, [line, body]] of Object.entries(bodies)) {
      for (const version of ['HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0']) {
        // A client that says so sends no chunks.
        if (version === 'HTTP/1.0' && framing === 'chunks') continue
        for (const [what, limit, status] of [
          ['a body past the limit', '1kb', 413],
          ['a body within the limit', '1mb', 200],
        ] as const) {
          it(`answers ${status} to ${what}, ${framing}, ${version} in the request line`, async () => {
            const head = `POST / ${version}\r\nHost: a\r\n${line}\r\n\r\n`
            expect(await statusOf([maxBytes(limit), bodyCache(), readAll], head, body)).to.equal(status)
          })
        }
      }

      it(`limits a body whose framing the application has deleted, ${framing}`, async () => {
        const head = `POST / HTTP/1.1\r\nHost: a\r\n${line}\r\n\r\n`
        expect(await statusOf([deleteFraming, maxBytes('1kb'), readAll], head, body)).to.equal(413)
      })

      it(`keeps a body whose framing the application has deleted, ${framing}`, async () => {
        const text: Handler = async (req, res) => res.end(String((await req.bodyCache.buffer()).length))
        const { port } = await serve(mount(deleteFraming, bodyCache(), text))
        const client = await RawClient.connect(port)
        client.write(`POST / HTTP/1.1\r\nHost: a\r\n${line}\r\n\r\n`, body)
        expect(String((await client.response()).body)).to.equal('2000')
        client.destroy()
      })

      for (const [what, middleware] of [
        ['maxBytes', maxBytes('1kb')],
        ['bodyCache', bodyCache()],
      ] as const) {
        for (const lines of [999, 1100]) {
          it(`${what} refuses a head whose framing comes after ${lines + 1} lines, ${framing}`, async () => {
            const head = `POST / HTTP/1.1\r\nHost: a\r\n${filler(lines)}${line}\r\n\r\n`
            expect(await statusOf([middleware, readAll], head, body)).to.equal(431)
          })
        }

        it(`${what} accepts a head of 1000 lines that frames its body, ${framing}`, async () => {
          const head = `POST / HTTP/1.1\r\nHost: a\r\n${filler(998)}${line}\r\n\r\n`
          const status = what === 'maxBytes' ? 413 : 200
          expect(await statusOf([middleware, readAll], head, body)).to.equal(status)
        })
      }
    }
  })
}
