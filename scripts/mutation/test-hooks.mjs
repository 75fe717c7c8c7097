/**
 * Ends a test that waits for what a change of lib keeps from coming. Stryker's mocha runner lets it wait, until Stryker
 * ends the whole process, and starting another costs more than the test. The first run, without a change, may take its time.
 */
export const mochaHooks = {
  beforeEach() {
    const isChanged = globalThis.__stryker__?.activeMutant !== undefined
    this.currentTest.timeout(isChanged ? 5000 : 60_000)
  },
}
