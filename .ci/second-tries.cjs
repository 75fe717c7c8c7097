const { reporters, Runner } = require('mocha')

/**
 * Mocha's own report, and below it the tests that failed and were tried again, with the error of the first try: a busy
 * machine must not hide which tests depend on time. It is CommonJS because mocha requires its reporters.
 */
module.exports = class SecondTries extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options)
    const failed = []
    runner.on(Runner.constants.EVENT_TEST_RETRY, (test, error) => {
      failed.push(`  ${test.fullTitle()}\n${error.stack ?? error.message}`)
    })
    runner.once(Runner.constants.EVENT_RUN_END, () => {
      if (failed.length > 0) console.log(`  ${failed.length} tried again\n\n${failed.join('\n\n')}\n`)
    })
  }
}
