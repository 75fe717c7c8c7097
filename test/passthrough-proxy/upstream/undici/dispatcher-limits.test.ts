// The table "What a dispatcher does not do" of docs/passthrough-proxy.md. A row whose test fails is no longer true.
import { expect } from 'chai'
import { passthroughProxy } from 'sluiceway'
import type { Dispatcher } from 'undici'
import { asChunk, lastChunk, RawClient } from '../../../support/clients/raw-client.js'
import { expressVersions } from '../../../support/express/express-versions.js'
import {
  answer,
  scriptedUpstream,
  type ScriptedUpstream,
} from '../../../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../../../support/servers/servers.js'
import { until } from '../../../support/time/until.js'
import { undiciVersions } from '../../../support/undici/undici-versions.js'

for (const [version, load] of undiciVersions) {
  describe(`passthroughProxy over a dispatcher of ${version}, with its limits`, () => {
    let upstream: ScriptedUpstream
    let client: RawClient
    let port: number
    let dispatcher: Dispatcher
    let codes: unknown[]
    let asked: string[]
    let closed: string[]

    afterEach(async () => {
      client.destroy()
      await dispatcher.destroy()
      await closeServers()
    })

    beforeEach(async () => {
      const { Agent } = await load()
      dispatcher = new Agent({ connections: 1 })
      upstream = await scriptedUpstream()
      codes = []
      asked = []
      closed = []
      const app = expressVersions[0].express().set('env', 'test')
      app.use((req, res, next) => {
        asked.push(req.url)
        res.once('close', () => closed.push(req.url))
        next()
      })
      app.use(passthroughProxy(upstream.url, { dispatcher, maxQueue: 1 }))
      app.use((error: { code: string }, _req: unknown, _res: unknown, next: (error: unknown) => void) => {
        codes.push(error.code)
        next(error)
      })
      ;({ port } = await serve(app))
      client = await RawClient.connect(port)
    })

    /** Sends a request that is answered by `raw`, and gives the connection that it came by. */
    async function exchange(raw: string): Promise<RawClient> {
      client.request('GET', '/')
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      connection.write(raw)
      return connection
    }

    it('does not repeat a request whose kept connection dies', async () => {
      const kept = await exchange(answer())
      await client.response()
      client.request('GET', '/again')
      await kept.untilText('/again')
      kept.socket.resetAndDestroy()
      expect((await client.response()).status).to.equal(502)
      expect(codes).to.deep.equal(['ERR_SLUICEWAY_UPSTREAM_RESET'])
    })

    it('does not skip an unsolicited 100', async () => {
      await exchange(`HTTP/1.1 100 Continue\r\n\r\n${answer()}`)
      expect((await client.response()).status).to.equal(502)
      expect(codes).to.deep.equal(['ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE'])
    })

    for (const status of [204, 304]) {
      it(`does not keep a connection on which a ${status} has named a length`, async () => {
        const connection = await exchange(`HTTP/1.1 ${status} X\r\nContent-Length: 5\r\n\r\n`)
        expect((await client.response()).status).to.equal(status)
        await connection.closed()
      })
    }

    it('does not keep a reason phrase that is not UTF-8', async () => {
      const connection = await exchange('')
      connection.write(Buffer.from(answer().replace('OK', 'Gr\xfcn'), 'latin1'))
      expect((await client.response()).reason).to.equal('OK')
    })

    it('sends an empty chunked body as no body', async () => {
      client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n', lastChunk)
      const connection = await upstream.connection()
      const head = await connection.untilText('\r\n\r\n')
      expect(head)
        .to.match(/\r\ncontent-length: 0\r\n/i)
        .and.not.match(/transfer-encoding/i)
      connection.write(answer())
      expect((await client.response()).status).to.equal(200)
    })

    for (const method of ['GET', 'DELETE']) {
      it(`sends no Content-Length of 0 with a ${method}`, async () => {
        client.write(`${method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n`)
        const connection = await upstream.connection()
        expect(await connection.untilText('\r\n\r\n')).not.to.match(/content-length/i)
        connection.write(answer())
        expect((await client.response()).status).to.equal(200)
      })
    }

    it('does not send the head before the first byte of the body', async () => {
      client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
      const connection = await upstream.connection()
      for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve))
      expect(connection.pending.length).to.equal(0)
      client.write(asChunk('a'), lastChunk)
      await connection.untilText('\r\n\r\n')
      connection.write(answer())
      expect((await client.response()).status).to.equal(200)
    })

    it('does not keep the connection of a login from other clients', async () => {
      const other = await RawClient.connect(port)
      client.request('GET', '/', { Authorization: 'NTLM TlRMTVNTUAABAAAA' })
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      connection.write(answer())
      await client.response()
      other.request('GET', '/other')
      await connection.untilText('GET /other')
      other.destroy()
    })

    it('frees the place of a client that leaves the queue when its turn comes, not at once', async () => {
      client.request('GET', '/first')
      const connection = await upstream.connection()
      await connection.untilText('GET /first')
      const [waiting, last] = [await RawClient.connect(port), await RawClient.connect(port)]
      waiting.request('GET', '/waiting')
      await until(() => asked.includes('/waiting'))
      waiting.destroy()
      await until(() => closed.includes('/waiting'))
      last.request('GET', '/last')
      expect((await last.response()).status).to.equal(503)
      connection.write(answer())
      await client.response()
      last.request('GET', '/last')
      await connection.untilText('GET /last')
      last.destroy()
    })
  })
}
