import { expect } from 'chai'
import { namedUpstream, recipeApp, type NamedUpstream } from '../support/recipes/recipe-app.js'
import { closeServers, serve } from '../support/servers/servers.js'

const users = Array.from({ length: 200 }, (_, at) => `user ${at}`)

describe('recipe: a canary', () => {
  let url: string
  let canary: NamedUpstream
  let stable: NamedUpstream

  before(async () => {
    ;[stable, canary] = [await namedUpstream('stable'), await namedUpstream('canary')]
    const { app } = await recipeApp('canary', { STABLE: stable.url, CANARY: canary.url, SHARE: '0.25' })
    ;({ url } = await serve(app))
  })
  after(closeServers)

  async function versions(): Promise<string[]> {
    const found: string[] = []
    for (const user of users) {
      const response = await fetch(url, { method: 'POST', body: '', headers: { 'X-User': user } })
      found.push(response.ok ? await response.text() : String(response.status))
    }
    return found
  }

  it('gives its share of the users the new version, always the same ones, and none an error', async () => {
    const first = await versions()
    const share = first.filter((version) => version === 'canary').length / users.length
    expect(share).to.be.within(0.15, 0.35)
    expect(await versions()).to.deep.equal(first)
    await canary.stop()
    expect(new Set(await versions())).to.deep.equal(new Set(['stable']))
    await stable.stop()
    expect((await fetch(url)).status).to.equal(502)
  })
})
