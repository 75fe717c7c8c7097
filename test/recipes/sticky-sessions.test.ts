import { expect } from 'chai'
import { namedUpstream, recipeApp, type NamedUpstream } from '../support/recipes/recipe-app.js'
import { closeServers, serve } from '../support/servers/servers.js'

describe('recipe: sticky sessions by cookie', () => {
  let url: string
  let upstreams: NamedUpstream[]

  beforeEach(async () => {
    upstreams = [await namedUpstream('0'), await namedUpstream('1'), await namedUpstream('2')]
    const UPSTREAMS = upstreams.map((upstream) => upstream.url).join(' ')
    const { app } = await recipeApp('sticky-sessions', { UPSTREAMS })
    ;({ url } = await serve(app))
  })
  afterEach(closeServers)

  async function visit(cookie?: string): Promise<{ from: string; cookie: string | null }> {
    const response = await fetch(url, cookie === undefined ? {} : { headers: { cookie } })
    return { from: await response.text(), cookie: response.headers.get('set-cookie') }
  }

  it('gives each visitor an upstream, and keeps it until it is down', async () => {
    for (const name of ['0', '1', '2', '0']) {
      const { from, cookie } = await visit()
      expect([from, cookie]).to.deep.equal([name, `upstream=${name}; Path=/; HttpOnly; SameSite=Lax`])
    }
    for (const name of ['2', '1', '1']) {
      expect(await visit(`other=1; upstream=${name}`)).to.deep.equal({ from: name, cookie: null })
    }
    for (const wrong of ['upstream=3', 'upstream=http://evil.test', 'upstream=-1', 'upstream=1x']) {
      const { from, cookie } = await visit(wrong)
      expect(cookie).to.match(new RegExp(`^upstream=${from};`))
    }
    await upstreams[2]?.stop()
    expect((await visit('upstream=2')).cookie).to.match(/^upstream=0;/)
    await Promise.all(upstreams.slice(0, 2).map((upstream) => upstream.stop()))
    expect((await fetch(url)).status).to.equal(502)
  })
})
