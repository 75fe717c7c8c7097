import { expect } from 'chai'
import { autoFlush, bodyCache, maxBytes, passthroughProxy } from 'sluiceway'
import { type Handler, hosts } from '../support/express/hosts.js'
import { closeServers, serve } from '../support/servers/servers.js'

/** The largest number of listeners for one event of which Node does not warn. */
const MOST = 10

/** Adds listeners until there are as many; Node has one of its own. */
const listen: Handler = (_req, res, next) => {
  while (res.listenerCount('close') < MOST) res.on('close', () => {})
  next()
}

for (const { name, mount } of hosts) {
  describe(`a response on ${name} with as many listeners as Node allows`, () => {
    const warnings: Error[] = []
    const note = (warning: Error): void => void warnings.push(warning)

    beforeEach(() => {
      warnings.length = 0
      process.on('warning', note)
    })

    afterEach(async () => {
      process.off('warning', note)
      await closeServers()
    })

    it('causes no warning', async () => {
      const upstream = await serve((req, res) => void req.pipe(res))
      const { url } = await serve(
        mount(listen, autoFlush(), maxBytes('1mb'), bodyCache(), passthroughProxy(upstream.url)),
      )
      const answer = await fetch(url, { method: 'POST', body: 'abc' })
      expect(await answer.text()).to.equal('abc')
      await new Promise(setImmediate)
      expect(warnings).to.deep.equal([])
    })
  })
}
