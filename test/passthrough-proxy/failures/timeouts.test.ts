import { expect } from 'chai'
import express from 'express'
import { RawClient } from '../../support/clients/raw-client.js'
import { answer, scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers } from '../../support/servers/servers.js'
import { MockedClock } from '../../support/time/mocked-clock.js'
import { startWatched } from '../watched.js'

// It takes undici's coarse clock a second to strike: once, on Express 5, is enough. See disconnects.test.ts for silence in
// each phase.
describe('passthroughProxy timeouts', () => {
  /** Stands still but for the silence of the upstream: what has to succeed has all the time that it needs. */
  const clock = new MockedClock()
  afterEach(() => clock.restore())
  afterEach(closeServers)

  it('answer 504 if the connection does not open in time', async () => {
    // TLS begins, and is never answered.
    const upstream = await scriptedUpstream()
    const { client, errors } = await startWatched(express(), upstream.url.replace('http:', 'https:'), {
      connectTimeoutMs: 50,
    })
    client.request('GET', '/')
    expect((await client.response()).status).to.equal(504)
    expect(errors[0]).to.have.property('code', 'ERR_SLUICEWAY_UPSTREAM_TIMEOUT')
  })

  it("do not take a client's own slowness for silence of the upstream", async () => {
    const upstream = await scriptedUpstream()
    const { client: slow, errors, port } = await startWatched(express(), upstream.url, { idleTimeoutMs: 50 })
    const silent = await RawClient.connect(port)
    clock.stop()
    slow.socket.pause()
    slow.request('GET', '/slow')
    const busy = await upstream.connection()
    await busy.untilText('\r\n\r\n')
    const body = Buffer.alloc(8 * 1024 * 1024, 1)
    busy.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`)
    busy.write(body)
    silent.request('GET', '/silent')
    const quiet = await upstream.connection()
    quiet.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
    await silent.untilText('half')
    // The same clock runs for both, and strikes for this one.
    await clock.passUntil(silent.closed(), 50)
    slow.socket.resume()
    expect((await slow.response()).body.length).to.equal(body.length)
    expect(errors.map(({ code }) => code)).to.deep.equal(['ERR_SLUICEWAY_UPSTREAM_TIMEOUT'])
  })

  it('do not count the wait for the head while the client is still sending', async () => {
    const upstream = await scriptedUpstream()
    const {
      client: sending,
      errors,
      port,
    } = await startWatched(express(), upstream.url, { headersTimeoutMs: 50 })
    const waiting = await RawClient.connect(port)
    clock.stop()
    sending.write('POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 8\r\n\r\nhalf')
    const connection = await upstream.connection()
    await connection.untilText('half')
    waiting.request('GET', '/silent')
    expect((await clock.passUntil(waiting.response(), 50)).status).to.equal(504)
    sending.write('rest')
    await connection.untilText('rest')
    connection.write(answer())
    expect((await sending.response()).status).to.equal(200)
    expect(errors).to.have.length(1)
  })
})
