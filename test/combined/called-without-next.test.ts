import { expect } from 'chai'
import { autoFlush, bodyCache, maxBytes } from 'sluiceway'
import { hosts } from '../support/express/hosts.js'
import { closeServers, serve } from '../support/servers/servers.js'

type Call = (...given: unknown[]) => void

describe('a middleware that is called without next', () => {
  for (const [name, middleware] of Object.entries({
    maxBytes: maxBytes('1mb'),
    bodyCache: bodyCache({ rawBody: true }),
    autoFlush: autoFlush(),
  })) {
    for (const [given, shown] of [
      [undefined, 'undefined'],
      [{}, 'an object'],
    ] as const) {
      it(`throws a TypeError that says what to do, before it does anything: ${name}, with ${shown}`, () => {
        const none = new Proxy({}, { get: () => expect.fail('it was read') })
        expect(() => (middleware as Call)(none, none, given)).to.throw(
          TypeError,
          `${name}: next must be a function, got ${shown}; mount the middleware with app.use(${name}(…)), ` +
            'or call it with a next function of your own (see docs/errors.md#a-wrong-option)',
        )
      })
    }
  }
})

for (const { name, mount } of hosts.slice(1)) {
  describe(`a middleware that a handler of ${name} calls without next`, () => {
    afterEach(closeServers)

    it('is a 500, whose page names the mistake', async () => {
      const { url } = await serve(mount((req, res) => (bodyCache() as Call)(req, res)))
      const answer = await fetch(url, { method: 'POST', body: 'a' })
      expect(answer.status).to.equal(500)
      expect(await answer.text()).to.contain('bodyCache: next must be a function')
    })
  })
}
