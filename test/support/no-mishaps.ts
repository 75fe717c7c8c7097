import { expect } from 'chai'
import type { RootHookObject } from 'mocha'

import { Mishaps } from './mishaps.js'

const mishaps = new Mishaps()

/** What mocha does around every test, its own hooks included: see `.mocharc.json`. */
export const mochaHooks: RootHookObject = {
  beforeEach() {
    mishaps.watch()
  },
  async afterEach() {
    expect(await mishaps.end()).to.deep.equal([])
  },
}
