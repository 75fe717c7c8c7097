import { expect } from 'chai'
import type { RootHookObject } from 'mocha'

import { Mishaps } from './mishaps.js'

const mishaps = new Mishaps()

/** Mocha runs this around every test, including the hooks of the test: see `.mocharc.json`. */
export const mochaHooks: RootHookObject = {
  beforeEach() {
    mishaps.watch()
  },
  async afterEach() {
    expect(await mishaps.end()).to.deep.equal([])
  },
}
