import type { ServerResponse } from 'node:http'
import { Transform } from 'node:stream'
import { expect } from 'chai'
import { passthroughProxy, type PassthroughProxyOptions, type ResponseHook } from 'sluiceway'
import { asChunk, lastChunk, RawClient } from '../../support/clients/raw-client.js'
import { hosts, type Handler } from '../../support/express/hosts.js'
import { scriptedUpstream, type ScriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { until } from '../../support/time/until.js'
import { needsOwnClient } from '../../support/undici/transports.js'

const HEAD = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
const LARGE = 'l'.repeat(9000)

/** Removes the frames of chunks. */
const bytesIn = (received: string): string => received.replace(/(^|\r\n)[0-9a-f]+\r\n/g, '')

const nothing: Handler = (_req, _res, next) => next()

for (const { name, mount } of hosts) {
  describe(`passthroughProxy with small chunks (${name})`, () => {
    afterEach(closeServers)

    let upstream: ScriptedUpstream
    beforeEach(async () => {
      upstream = await scriptedUpstream()
    })

    /** Requests an answer, whose head has come when this returns. */
    async function request(
      front: Handler,
      options?: PassthroughProxyOptions,
    ): Promise<{ client: RawClient; connection: RawClient }> {
      const { port } = await serve(mount(front, passthroughProxy(upstream.url, options)))
      const client = await RawClient.connect(port)
      client.request('GET', '/')
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      connection.write(HEAD)
      await client.untilText('\r\n\r\n')
      return { client, connection }
    }

    it('sends those of one read as one, each time', async function () {
      needsOwnClient(this, 'it does not tell where a read ends')
      const { client, connection } = await request(nothing)
      for (let n = 0; n < 3; n++) {
        connection.write(asChunk('one'), asChunk('another\u00e9'))
        const received = Buffer.from(await client.untilText('\u00e9\r\n'), 'latin1')
        expect(received.toString()).to.equal('c\r\noneanother\u00e9\r\n')
      }
      connection.write(asChunk('last'), lastChunk)
      expect(await client.untilText('0\r\n\r\n')).to.equal('4\r\nlast\r\n0\r\n\r\n')
    })

    it('keeps their order beside a large one, and the trailers behind them', async () => {
      const { client, connection } = await request(nothing)
      connection.write(asChunk('before'), asChunk(LARGE), asChunk('after'), '0\r\nSum: 1\r\n\r\n')
      const received = await client.untilText('Sum: 1\r\n\r\n')
      const body = bytesIn(received)
      expect(body).to.equal(`before${LARGE}afterSum: 1\r\n\r\n`)
      expect(received.indexOf('0\r\n', received.indexOf('after'))).to.be.greaterThan(0)
    })

    it('holds none back if small and large ones alternate in one read', async () => {
      const { client, connection } = await request(nothing)
      const chunks = ['one', LARGE, 'two', LARGE, 'three', LARGE, 'last']
      connection.write(...chunks.map((chunk) => asChunk(chunk)))
      const received = await client.untilText('last\r\n')
      expect(bytesIn(received)).to.equal(`${chunks.join('')}\r\n`)
    })

    it('holds none back after the application has corked the response for a while', async () => {
      let response: ServerResponse | undefined
      const { client, connection } = await request((_req, res, next) => {
        response = res
        next()
      })
      response?.cork()
      connection.write(asChunk('corked'))
      await until(() => (response?.writableLength ?? 0) > 0)
      response?.uncork()
      await client.untilText('corked\r\n')
      for (const last of ['first', 'second']) {
        connection.write(asChunk('small'), asChunk(LARGE), asChunk(last))
        expect(bytesIn(await client.untilText(`${last}\r\n`))).to.equal(`small${LARGE}${last}\r\n`)
      }
    })

    it('keeps the chunk of a transform before what the transform itself writes', async () => {
      const onResponse: ResponseHook = (incoming, _req, res) => {
        const ending = new Transform({
          transform(chunk: Buffer, _encoding, done) {
            this.push(chunk)
            if (String(chunk) === 'last') res.end('mine')
            done()
          },
        })
        incoming.pipeThrough(ending)
      }
      const { client, connection } = await request(nothing, { onResponse })
      connection.write(asChunk('first'))
      await client.untilText('first\r\n')
      connection.write(asChunk('last'))
      // From Node 26 on, both go out as one chunk.
      expect(bytesIn(await client.untilText('0\r\n\r\n'))).to.equal('lastmine\r\n')
    })

    it('lets a middleware that replaces `write` see each', async () => {
      const seen: string[] = []
      const { client, connection } = await request((_req, res, next) => {
        const write = res.write.bind(res) as (chunk: Buffer) => boolean
        res.write = ((chunk: Buffer) => {
          seen.push(String(chunk))
          return write(chunk)
        }) as never
        next()
      })
      connection.write(asChunk('one'), asChunk('another'), lastChunk)
      await client.untilText('0\r\n\r\n')
      expect(seen.join('|')).to.match(/^one\|another\|?$/)
    })
  })
}
