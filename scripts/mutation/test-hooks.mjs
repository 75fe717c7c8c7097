/**
 * Ends a test that waits for what a change of lib keeps from coming. Stryker's mocha runner lets it wait, until Stryker
 * ends the whole process, and starting another costs more than the test.
 */
export const mochaHooks = {
  beforeEach() {
    this.currentTest.timeout(5000)
  },
}
