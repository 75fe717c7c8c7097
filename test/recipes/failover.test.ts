import { expect } from 'chai'
import { namedUpstream, recipeApp, type NamedUpstream } from '../support/recipes/recipe-app.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { until } from '../support/time/until.js'

const PAUSE_MS = 400

describe('recipe: two upstreams, one of which may be down', () => {
  let url: string
  let one: NamedUpstream
  let two: NamedUpstream

  before(async () => {
    ;[one, two] = [await namedUpstream('one'), await namedUpstream('two')]
    const { app } = await recipeApp('failover', {
      UPSTREAMS: `${one.url} ${two.url}`,
      PAUSE_MS: String(PAUSE_MS),
    })
    ;({ url } = await serve(app))
  })
  after(closeServers)

  async function answers(body?: string): Promise<string> {
    const response = await fetch(url, body === undefined ? {} : { method: 'POST', body })
    return response.ok ? response.text() : String(response.status)
  }

  it('serves everything from the second while the first is down, and then returns to the first', async () => {
    expect(await answers()).to.equal('one')
    await one.stop()
    for (let i = 0; i < 3; i += 1) {
      expect(await answers()).to.equal('two')
      expect(await answers(' with a body')).to.equal('two with a body')
    }
    const large = 'a large body; '.repeat(50_000)
    expect(await answers(large)).to.equal(`two${large}`)
    await one.start()
    let last = ''
    void (async () => {
      while (last !== 'one') last = await answers()
    })()
    await until(() => last === 'one')
  })

  it('answers 502 if both are down, and recovers', async () => {
    await Promise.all([one.stop(), two.stop()])
    expect(await answers('a body')).to.equal('502')
    await two.start()
    expect(await answers('!')).to.equal('two!')
    await two.stop()
    await one.start()
    expect(await answers('!')).to.equal('one!')
  })
})
