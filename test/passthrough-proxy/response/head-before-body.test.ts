import { expect } from 'chai'
import { asChunk, lastChunk } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { proxied } from '../../support/servers/proxied.js'
import { answer } from '../../support/servers/scripted-upstream.js'
import { closeServers } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'
import { MockedClock } from '../../support/time/mocked-clock.js'
import { transformOf, upperCase } from '../hook-bodies/transforms.js'

/** The head of an answer in chunks. */
const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy sends the head of a changed response (${name})`, () => {
    afterEach(closeServers)

    const clock = new MockedClock()
    afterEach(() => clock.restore())

    it('at once, if it comes alone', async () => {
      const { client, upstream } = await proxied({
        express,
        onResponse: (incoming) => void incoming.pipeThrough(upperCase()),
      })
      clock.stop()
      client.request('GET', '/')
      ;(await upstream.connection()).write(chunked)
      expect(await client.untilText('\r\n\r\n')).to.match(/^HTTP\/1\.1 200 OK\r\n/)
    })

    it('if nothing comes out of a transform for a while: an event may be long in coming', async () => {
      const { client, upstream } = await proxied({
        express,
        onResponse: (incoming) => void incoming.pipeThrough(transformOf((_chunk, done) => done())),
      })
      client.request('GET', '/')
      ;(await upstream.connection()).write(chunked + String(asChunk(': swallowed\n\n')))
      expect(await client.untilText('\r\n\r\n')).to.match(/^HTTP\/1\.1 200 OK\r\n/)
    })

    it('not before the end of a body that has come whole: a failure in between is a clean error', async () => {
      const flushed = deferred<() => void>()
      const swallow = transformOf(
        (_chunk, done) => done(),
        (done) => flushed.resolve(() => done(new Error('in the end'))),
      )
      const { client, upstream, errors } = await proxied({
        express,
        onResponse: (incoming) => void incoming.pipeThrough(swallow),
      })
      clock.stop()
      client.request('GET', '/')
      ;(await upstream.connection()).write(answer('body'))
      const fail = await flushed.promise
      await clock.pass(100)
      fail()
      expect((await client.response()).status).to.equal(500)
      expect(errors[0]?.cause).to.have.property('message', 'in the end')
    })

    it('not after a body that has ended while its transform works: a failure is a clean error', async () => {
      const seen = deferred()
      const flushed = deferred<() => void>()
      const swallow = transformOf(
        (_chunk, done) => {
          seen.resolve()
          done()
        },
        (done) => flushed.resolve(() => done(new Error('in the end'))),
      )
      const { client, upstream } = await proxied({
        express,
        onResponse: (incoming) => void incoming.pipeThrough(swallow),
      })
      clock.stop()
      client.request('GET', '/')
      const connection = await upstream.connection()
      connection.write(chunked + String(asChunk('body')))
      await seen.promise
      connection.write(lastChunk)
      const fail = await flushed.promise
      await clock.pass(100)
      fail()
      expect((await client.response()).status).to.equal(500)
    })
  })
}
