import { getActiveResourcesInfo } from 'node:process'
import { expect } from 'chai'
import express from 'express'
import { RawClient } from '../../support/clients/raw-client.js'
import { scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers } from '../../support/servers/servers.js'
import { deferred, type Deferred } from '../../support/time/deferred.js'
import { until } from '../../support/time/until.js'
import { startWatched } from '../watched.js'
import { REFUSING } from './dead-targets.js'

const never = new Promise<string>(() => {})

function timers(): number {
  return getActiveResourcesInfo().filter((name) => name === 'Timeout').length
}

describe('a target function that does not settle', () => {
  afterEach(closeServers)

  for (const [what, method, sent] of [
    ['a GET', 'GET', undefined],
    ['a POST', 'POST', 'body'],
  ] as const) {
    it(`is a 504 after headersTimeoutMs, for ${what}`, async () => {
      const { client, errors } = await startWatched(express(), () => never, { headersTimeoutMs: 30 })
      client.request(method, '/', {}, sent)
      expect((await client.response()).status).to.equal(504)
      expect(errors[0]).to.have.property('code', 'ERR_SLUICEWAY_UPSTREAM_TIMEOUT')
      expect(errors[0]?.message).to.match(/the target function took too long \(headersTimeoutMs\)/)
      client.destroy()
    })
  }

  it('is a 504 when it was asked again', async () => {
    const { client, errors } = await startWatched(
      express(),
      (_req, failed) => (failed === undefined ? REFUSING : never),
      { headersTimeoutMs: 30 },
    )
    client.request('GET', '/')
    expect((await client.response()).status).to.equal(504)
    expect(errors).to.have.length(1)
    client.destroy()
  })

  it('has no effect if it settles afterwards, either way', async () => {
    const upstream = await scriptedUpstream()
    const asked: Deferred<string | Promise<string>>[] = []
    const { client, errors } = await startWatched(
      express(),
      () => {
        asked.push(deferred())
        return (asked.at(-1) as Deferred<string>).promise
      },
      { headersTimeoutMs: 30 },
    )
    for (const settled of [() => upstream.url, () => Promise.reject<string>(new Error('late'))]) {
      client.request('GET', '/')
      expect((await client.response()).status).to.equal(504)
      asked.at(-1)?.resolve(settled())
    }
    await new Promise(setImmediate)
    expect([errors.length, upstream.accepted]).to.deep.equal([2, 0])
    client.destroy()
  })

  it('is forgotten when the client leaves, with its timer', async () => {
    let asked = 0
    const { port, errors } = await startWatched(express(), () => {
      asked += 1
      return never
    })
    const clients = await Promise.all(Array.from({ length: 20 }, () => RawClient.connect(port)))
    const before = timers()
    for (const client of clients) client.request('GET', '/')
    await until(() => asked === 20)
    expect(timers()).to.be.at.least(20)
    for (const client of clients) client.destroy()
    await until(() => timers() <= before)
    expect(errors).to.deep.equal([])
  })

  it('leaves no timer if it settles in time', async () => {
    const upstream = await scriptedUpstream()
    const { client } = await startWatched(express(), async () => upstream.url)
    const before = timers()
    client.request('GET', '/')
    const connection = await upstream.connection()
    await connection.untilText('\r\n\r\n')
    expect(timers()).to.be.at.most(before + 1)
    client.destroy()
  })
})
