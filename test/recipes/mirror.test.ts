import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { namedUpstream, recipeApp, type NamedUpstream } from '../support/recipes/recipe-app.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { until } from '../support/time/until.js'

describe('recipe: a copy of each request elsewhere', () => {
  let url: string
  let upstream: NamedUpstream
  let mirror: NamedUpstream
  let copies: [method: string | undefined, url: string | undefined, body: string][]

  before(async () => {
    ;[upstream, mirror] = [await namedUpstream('upstream'), await namedUpstream('mirror')]
    const { app } = await recipeApp('mirror', { UPSTREAM: upstream.url, MIRROR: mirror.url })
    ;({ url } = await serve(app))
  })
  beforeEach(() => {
    copies = []
    mirror.answer = (req, res) => {
      void text(req).then((body) => copies.push([req.method, req.url, body]))
      res.writeHead(500).end('of the mirror')
    }
  })
  after(closeServers)

  it('sends the mirror the same method, path and body, and the client the answer of the upstream', async () => {
    for (const body of ['small', 'large; '.repeat(50_000), 'larger; '.repeat(1_000_000)]) {
      const response = await fetch(`${url}/a%2Fb?c`, { method: 'PUT', body })
      expect(await response.text()).to.equal(`upstream${body}`)
      await until(() => copies.length === 1)
      expect(copies.pop()).to.deep.equal(['PUT', '/a%2Fb?c', body])
    }
    expect(await (await fetch(`${url}//evil.test/x`)).text()).to.equal('upstream')
    await until(() => copies.length === 1)
    expect(copies.pop()).to.deep.equal(['GET', '//evil.test/x', ''])
    const { headers } = mirror.asked[0] ?? {}
    expect(headers).to.include({ 'x-mirrored': '1', 'content-length': '5' })
  })

  it('answers as usual while the mirror does not answer, or is down', async () => {
    mirror.answer = () => {}
    for (let i = 0; i < 3; i += 1) expect(await (await fetch(url)).text()).to.equal('upstream')
    await mirror.stop()
    for (const body of ['one', 'two']) {
      expect(await (await fetch(url, { method: 'POST', body })).text()).to.equal(`upstream${body}`)
    }
  })
})
