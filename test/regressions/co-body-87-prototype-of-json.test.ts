import { expect } from 'chai'
import { closeServers } from '../support/servers/servers.js'
import { posted } from './advisories.js'

describe('cojs/co-body#87, expressjs/body-parser#347', () => {
  afterEach(closeServers)

  for (const json of [
    '{"__proto__":{"a":1}}',
    '{"a":[{"__proto__":1}]}',
    '{"constructor":{"prototype":{"a":1}}}',
  ]) {
    it(`${json} is refused`, async () => {
      expect(await posted((req) => req.bodyCache.json(), json)).to.include({ status: 400 })
    })
  }
})
