import { expect } from 'chai'
import express from 'express'
import { bodyCache } from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { namedUpstream } from '../../support/recipes/recipe-app.js'
import { closeServers } from '../../support/servers/servers.js'
import { until } from '../../support/time/until.js'
import { startWatched } from '../watched.js'

const CLIENTS = 8
const bodies = [undefined, 'small', 'large; '.repeat(30_000)] as const

// `npm run failover` does the same with processes, which are killed.
describe('failover under load', () => {
  afterEach(closeServers)

  for (const [what, handlers] of [
    ['bare', []],
    ['behind bodyCache', [bodyCache()]],
  ] as const) {
    it(`loses only requests that an upstream may have received while one of three dies and comes back (${what})`, async () => {
      const upstreams = await Promise.all(['0', '1', '2'].map(namedUpstream))
      const app = express()
      for (const handler of handlers) app.use(handler)
      const { port, errors, client } = await startWatched(app, (req, failed) => {
        const first = Number(req.url?.slice(1))
        return upstreams[(first + (failed?.attempt ?? 0)) % upstreams.length]?.url
      })
      client.destroy()
      const end = new AbortController()
      let answered = 0
      const wrong: string[] = []

      async function askOn(at: number): Promise<void> {
        for (let n = at; !end.signal.aborted; n += 1) {
          const body = bodies[n % bodies.length]
          const asking = await RawClient.connect(port)
          asking.request(body === undefined ? 'GET' : 'POST', `/${n}`, {}, body)
          const { status, body: got } = await asking.response()
          if (status === 200 && got.toString().slice(1) !== (body ?? '')) wrong.push('another body')
          if (![200, 502].includes(status)) wrong.push(String(status))
          answered += 1
          asking.destroy()
        }
      }

      const asking = Array.from({ length: CLIENTS }, (_, at) => askOn(at))
      for (let death = 0; death < 6; death += 1) {
        const before = answered
        await upstreams[death % 3]?.stop()
        await until(() => answered > before + 3 * CLIENTS)
        await upstreams[death % 3]?.start()
        await until(() => answered > before + 4 * CLIENTS)
      }
      end.abort()
      await Promise.all(asking)
      expect(wrong).to.deep.equal([])
      // One that was on its way to the upstream that died.
      const others = errors.filter(({ code }) => code !== 'ERR_SLUICEWAY_UPSTREAM_RESET')
      expect(others).to.deep.equal([])
    })
  }
})
