import { expect } from 'chai'
import { bodyCache, maxBytes } from 'sluiceway'
import { closeServers } from '../support/servers/servers.js'

describe('GHSA-v422-hmwv-36x6', () => {
  afterEach(closeServers)

  for (const limit of ['banana', '10x', '', Number.NaN, null, -1, 1.5, [], {}, '1e3', ' 1mb ']) {
    it(`the limit ${JSON.stringify(limit)} throws, and is never no limit`, () => {
      expect(() => maxBytes(limit as never)).to.throw(/limit|options/)
      expect(() => bodyCache({ limit: limit as never })).to.throw(/limit/)
      expect(() => bodyCache({ parseLimit: limit as never })).to.throw(/parseLimit/)
    })
  }
})
