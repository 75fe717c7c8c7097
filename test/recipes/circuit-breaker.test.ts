import { expect } from 'chai'
import { namedUpstream, recipeApp, type NamedUpstream } from '../support/recipes/recipe-app.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { until } from '../support/time/until.js'

describe('recipe: a circuit breaker', () => {
  let url: string
  let upstream: NamedUpstream

  before(async () => {
    upstream = await namedUpstream('upstream')
    const { app } = await recipeApp('circuit-breaker', { UPSTREAM: upstream.url, PAUSE_MS: '1500' })
    ;({ url } = await serve(app))
  })
  after(closeServers)

  async function statuses(count: number): Promise<number[]> {
    const found: number[] = []
    for (let i = 0; i < count; i += 1) found.push((await fetch(url)).status)
    return found
  }

  it('answers 503 after five failures, tries one request after the pause, and closes when it succeeds', async () => {
    expect(await statuses(2)).to.deep.equal([200, 200])
    await upstream.stop()
    expect(await statuses(7)).to.deep.equal([502, 502, 502, 502, 502, 503, 503])
    const asked = upstream.asked.length
    await upstream.start()
    let last = 0
    const all: number[] = []
    void (async () => {
      while (last !== 200) all.push((last = (await fetch(url)).status))
    })()
    await until(() => last === 200)
    expect(new Set(all)).to.deep.equal(new Set([503, 200]))
    expect(upstream.asked.length).to.equal(asked + 1)
    expect(await statuses(2)).to.deep.equal([200, 200])
  })

  it('counts an upstream that answers 5xx, not one that answers 4xx', async () => {
    upstream.answer = (_req, res) => void res.writeHead(404).end()
    expect(new Set(await statuses(8))).to.deep.equal(new Set([404]))
    upstream.answer = (_req, res) => void res.writeHead(500).end()
    const response = await fetch(url)
    expect(response.status).to.equal(500)
    expect((await statuses(5)).slice(-2)).to.deep.equal([500, 503])
    expect((await fetch(url)).headers.get('retry-after')).to.equal('2')
  })
})
