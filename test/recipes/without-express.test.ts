import type { RequestListener } from 'node:http'
import { expect } from 'chai'
import { closeServers, serve } from '../support/servers/servers.js'

describe('recipe: without Express', () => {
  let listeners: Record<string, RequestListener>

  before(async () => {
    const upstream = await serve((req, res) => res.end(`upstream got ${req.url}`))
    process.env['UPSTREAM'] = upstream.url
    const { app, connected } = await import('../../.recipes/without-express.js')
    delete process.env['UPSTREAM']
    listeners = { 'node:http': (req, res) => void app(req, res), connect: connected }
  })
  after(closeServers)

  for (const [name, path] of Object.entries({ 'node:http': '/users', connect: '/api/users' })) {
    it(`proxies under ${name}`, async () => {
      const { url } = await serve(listeners[name] as RequestListener)
      expect(await (await fetch(url + path)).text()).to.equal('upstream got /users')
    })

    it(`answers 413 under ${name}`, async () => {
      const { url } = await serve(listeners[name] as RequestListener)
      const refused = await fetch(url + path, { method: 'POST', body: 'x'.repeat(200_000) })
      expect(refused.status).to.equal(413)
      expect(await refused.text()).to.equal('request entity too large')
    })
  }

  it('parses the body of an order, and answers 400 to a body that is not JSON', async () => {
    const { url } = await serve(listeners['node:http'] as RequestListener)
    const taken = await fetch(`${url}/orders`, { method: 'POST', body: '{"id":"A-1"}' })
    expect(await taken.json()).to.deep.equal({ taken: { id: 'A-1' } })
    expect((await fetch(`${url}/orders`, { method: 'POST', body: '{' })).status).to.equal(400)
  })
})
