import { expect } from 'chai'
import { namedUpstream, recipeApp, type NamedUpstream } from '../support/recipes/recipe-app.js'
import { closeServers, serve } from '../support/servers/servers.js'

describe('recipe: pages that the upstream does not have', () => {
  let url: string
  let renewed: NamedUpstream
  let old: NamedUpstream

  before(async () => {
    ;[renewed, old] = [await namedUpstream('renewed'), await namedUpstream('old')]
    renewed.answer = (req, res) => {
      res.setHeader('X-App', 'renewed')
      if (req.url === '/new') res.end('renewed')
      else res.writeHead(req.url === '/broken' ? 500 : 404).end('nothing here; '.repeat(10_000))
    }
    const { app } = await recipeApp('fall-through', { RENEWED: renewed.url, OLD: old.url })
    ;({ url } = await serve(app))
  })
  after(closeServers)

  async function get(path: string, init: RequestInit = {}): Promise<[number, string, string | null]> {
    const response = await fetch(url + path, init)
    const body = await response.text()
    return [response.status, body, response.headers.get('x-app')]
  }

  it('comes from the next handler, with nothing of the 404', async () => {
    expect(await get('/new')).to.deep.equal([200, 'renewed', 'renewed'])
    for (let i = 0; i < 3; i += 1) expect(await get('/old?x')).to.deep.equal([200, 'old', null])
    expect(await get('/old', { method: 'HEAD' })).to.deep.equal([200, '', null])
    expect(old.asked.map((req) => req.url)).to.deep.equal(['/old?x', '/old?x', '/old?x', '/old'])
    expect((await get('/broken'))[0]).to.equal(500)
  })

  it('asks only the old app for a POST', async () => {
    const before = renewed.asked.length
    expect(await get('/form', { method: 'POST', body: '!' })).to.deep.equal([200, 'old!', null])
    expect(renewed.asked.length).to.equal(before)
  })

  it('passes on the other errors', async () => {
    await renewed.stop()
    expect((await get('/new'))[0]).to.equal(502)
  })
})
