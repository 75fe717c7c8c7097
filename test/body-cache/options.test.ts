import { expect } from 'chai'
import { bodyCache } from 'sluiceway/body-cache'
import { hosts } from '../support/express/hosts.js'
import { closeServers, serve } from '../support/servers/servers.js'

describe('bodyCache', () => {
  afterEach(closeServers)

  for (const limit of ['3b', 3]) {
    it(`takes a size alone as its limit: ${JSON.stringify(limit)}`, async () => {
      const { url } = await serve(hosts[0]!.mount(bodyCache(limit), (_req, res) => res.end()))
      const statuses = []
      for (const body of ['abc', 'abcd']) statuses.push((await fetch(url, { method: 'POST', body })).status)
      expect(statuses).to.deep.equal([200, 413])
    })
  }

  it('takes an instance of a class', async () => {
    class Limits {
      readonly limit = 3
    }
    const { url } = await serve(hosts[0]!.mount(bodyCache(new Limits()), (_req, res) => res.end()))
    expect((await fetch(url, { method: 'POST', body: 'abcd' })).status).to.equal(413)
  })

  it('refuses a wrong size, and a value that is neither a size nor options', () => {
    expect(() => bodyCache('lots')).to.throw(TypeError, 'bodyCache: option "limit" must be a whole number')
    expect(() => bodyCache(-1)).to.throw(RangeError, 'bodyCache: option "limit" must be')
    expect(() => bodyCache({ dest: 'uploads' } as never)).to.throw(TypeError, '; it is "directory" here (')
    expect(() => bodyCache({ maxFileSize: 1 } as never)).to.throw(TypeError, '; it is "limit" here, for the ')
    const objects = [[], new Map([['limit', 1]]), new Date(), Promise.resolve({ limit: 1 }), Object(5)]
    for (const wrong of [null, true, () => '1mb', ...objects]) {
      expect(() => bodyCache(wrong as never)).to.throw(TypeError, 'bodyCache: options must be an object, got')
    }
  })
})
