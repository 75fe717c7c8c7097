import { PassThrough } from 'node:stream'
import { expect } from 'chai'
import { asChunk, lastChunk, RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { proxied } from '../../support/servers/proxied.js'
import { answer } from '../../support/servers/scripted-upstream.js'
import { closeServers } from '../../support/servers/servers.js'
import { until } from '../../support/time/until.js'
import { transport } from '../../support/undici/transports.js'
import { transformOf, upperCases, Watched } from './transforms.js'

const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
for (const { name, express } of expressVersions) {
  describe(`passthroughProxy with a transform whose client or upstream leaves, or is slow (${name})`, () => {
    afterEach(closeServers)

    it('ends a transform that never ends, and the upstream, when the client leaves', async () => {
      const stage = transformOf(() => {})
      const { client, upstream, errors } = await proxied({
        express,
        onResponse: (incoming) => void incoming.pipeThrough(stage),
      })
      client.request('GET', '/')
      const connection = await upstream.connection()
      connection.write(chunked + String(asChunk('waits')))
      await client.untilText('\r\n\r\n')
      client.destroy()
      await connection.closed()
      await until(() => stage.destroyed)
      expect(errors).to.deep.equal([])
    })

    it('waits for a transform whose end comes late, after the upstream has ended', async () => {
      let finish!: () => void
      const stage = transformOf(
        (chunk, done) => done(null, chunk),
        (done) => void (finish = () => done(null, '!')),
      )
      const { client, upstream } = await proxied({
        express,
        onResponse: (incoming) => void incoming.pipeThrough(stage),
      })
      client.request('GET', '/')
      ;(await upstream.connection()).write(answer('body'))
      await client.untilText('body')
      await until(() => finish as (() => void) | undefined)
      finish()
      await client.untilText('!')
      await client.untilText(lastChunk)
    })

    for (const [kind, create] of upperCases) {
      it(`cuts the client off, and destroys ${kind}, when the upstream dies in the middle`, async () => {
        const { client, upstream, errors } = await proxied({
          express,
          onResponse: (incoming) => void incoming.pipeThrough(create()),
        })
        client.request('GET', '/')
        const connection = await upstream.connection()
        connection.write(chunked + String(asChunk('half')))
        await client.untilText('HALF')
        connection.socket.resetAndDestroy()
        await client.closed()
        expect(client.pending.toString()).not.to.include(lastChunk)
        expect(errors[0]).to.include({ code: 'ERR_SLUICEWAY_UPSTREAM_RESET' })
      })

      it(`ends ${kind}, and the upstream, when the client leaves in the middle`, async () => {
        const watched = new Watched()
        const { client, upstream, errors } = await proxied({
          express,
          onResponse: (incoming) => void incoming.pipeThrough(create()).pipeThrough(watched),
        })
        client.request('GET', '/')
        const connection = await upstream.connection()
        connection.write(chunked + String(asChunk('half')))
        await client.untilText('HALF')
        client.destroy()
        await connection.closed()
        await until(() => watched.destroyed)
        expect(errors).to.deep.equal([])
      })
    }

    it('answers 502 when the upstream dies before anything has come out', async () => {
      const { client, upstream, errors } = await proxied({
        express,
        onResponse: (incoming) => void incoming.pipeThrough(transformOf(() => {})),
      })
      client.request('GET', '/')
      const connection = await upstream.connection()
      connection.write(`HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf`)
      connection.socket.end()
      expect((await client.response()).status).to.equal(502)
      expect(errors[0]).to.include({ code: 'ERR_SLUICEWAY_UPSTREAM_RESET' })
    })

    it('holds the upstream back while a transform or the client is slow, and passes everything on', async () => {
      const body = Buffer.alloc(24 * 1024 * 1024, 'abcdefg')
      const { client, upstream } = await proxied({
        express,
        onResponse: (incoming) => void incoming.pipeThrough(new PassThrough()),
      })
      client.socket.pause()
      client.request('GET', '/')
      const connection = await upstream.connection()
      connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`)
      connection.write(body)
      // Other requests take the same path meanwhile: what could go on has gone on.
      const other = await RawClient.connect(client.socket.remotePort as number)
      for (let n = 0; n < 50; n++) {
        other.request('GET', '/other')
        const second = await upstream.connectionWith('/other')
        second.write(answer('other', 'Connection: close\r\n'))
        await other.response()
      }
      const unsent = connection.socket.writableLength
      if (transport === 'built-in') expect(unsent).to.be.above(8 * 1024 * 1024)
      client.socket.resume()
      expect((await client.response()).body.equals(body)).to.equal(true)
    })
  })
}
