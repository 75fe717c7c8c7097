import type { ServerResponse } from 'node:http'
import { expect } from 'chai'
import { asChunk } from '../../../support/clients/raw-client.js'
import { scriptedUpstream } from '../../../support/servers/scripted-upstream.js'
import { until } from '../../../support/time/until.js'
import { undiciVersions, type Undici } from '../../../support/undici/undici-versions.js'
import { endAll, keep, startProxy } from './dispatchers.js'

for (const [version, load] of undiciVersions) {
  describe(`passthroughProxy over ${version}, and an upstream that resets its connection`, () => {
    let undici: Undici

    before(async () => {
      undici = await load()
    })
    afterEach(endAll)

    for (const head of ['HTTP/1.1 200 OK\r\n', 'HTTP/1.0 200 OK\r\n']) {
      it(`cuts a body without framing behind ${head.trim()}`, async () => {
        const upstream = await scriptedUpstream()
        const { client, errors } = await startProxy(upstream.url, keep(new undici.Agent()))
        client.request('GET', '/')
        const connection = await upstream.connection()
        connection.write(`${head}\r\na part`)
        await client.untilText('a part')
        connection.socket.resetAndDestroy()
        await client.closed()
        expect(client.pending.toString()).not.to.contain('0\r\n\r\n')
        expect(errors.map(({ code }) => code)).to.deep.equal(['ERR_SLUICEWAY_UPSTREAM_RESET'])
      })
    }

    it('ends such a body with the connection', async () => {
      const upstream = await scriptedUpstream()
      const { client, errors } = await startProxy(upstream.url, keep(new undici.Agent()))
      client.request('GET', '/')
      const { socket } = await upstream.connection()
      socket.end('HTTP/1.1 200 OK\r\n\r\nall of it')
      expect((await client.response()).body.toString()).to.equal('all of it')
      expect(errors).to.deep.equal([])
    })

    it('cuts a body that waits for its client, which ended the process', async () => {
      const upstream = await scriptedUpstream()
      const { client, errors } = await startProxy(upstream.url, keep(new undici.Agent()), {
        onResponse: fill,
      })
      client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n', asChunk('a'))
      const connection = await upstream.connection()
      connection.write('HTTP/1.1 200 OK\r\n\r\na part')
      await client.untilText('a part')
      connection.socket.resetAndDestroy()
      client.write(asChunk('b'))
      await until(() => errors.length > 0)
      expect(errors.map(({ code }) => code)).to.deep.equal(['ERR_SLUICEWAY_UPSTREAM_RESET'])
      expect(errors[0]?.cause).to.include({ code: 'ECONNRESET' })
      await client.closed()
    })

    /** Has each piece fill the response, as a client does that reads no more. */
    function fill(_incoming: unknown, _req: unknown, res: ServerResponse): void {
      const write = res.write.bind(res) as (chunk: Buffer) => boolean
      res.write = ((chunk: Buffer) => {
        write(chunk)
        return false
      }) as typeof res.write
    }
  })
}
