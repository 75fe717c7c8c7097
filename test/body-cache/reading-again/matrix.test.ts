import { expect } from 'chai'
import { samplePairs } from '../../../trials/matrix/cases.js'
import { runMatrix } from '../../../trials/matrix/run.js'
import { closeServers } from '../../support/servers/servers.js'

describe('bodyCache', () => {
  afterEach(closeServers)

  describe('with two readers of one body', () => {
    // `npm run test:matrix` runs each pair in all its variants, and three readers in a row.
    it('gives every ordered pair of consumers the same bytes', async function () {
      this.timeout(120_000)
      const { passed, total, misses } = await runMatrix(samplePairs())
      console.log(`      pairs: ${passed} of ${total}`)
      expect(misses).to.deep.equal([])
    })
  })
})
