import { expect } from 'chai'
import { casesOf, type MatrixReport, runMatrix } from '../matrix/run.js'
import { closeServers } from '../support/servers.js'

describe('bodyCache', () => {
  afterEach(closeServers)

  describe('with two readers of one body', () => {
    it('gives every ordered pair of consumers the same bytes', async function () {
      this.timeout(120_000)
      const report = await withWarnings(() => runMatrix(casesOf(2, ['small', 'large'])))
      console.log(`      pairs: ${report.passed} of ${report.total}`)
      expect(report.misses).to.deep.equal([])
    })
  })
})

/** Runs the matrix and counts a warning, such as one about listeners that pile up, as a miss. */
async function withWarnings(run: () => Promise<MatrixReport>): Promise<MatrixReport> {
  const warnings: string[] = []
  const listener = (warning: Error): void => {
    // http-proxy 1 itself uses util._extend, which Node 22 warns about.
    if (warning.name !== 'DeprecationWarning') warnings.push(String(warning))
  }
  process.on('warning', listener)
  const report = await run()
  process.off('warning', listener)
  return { ...report, misses: [...report.misses, ...warnings] }
}
