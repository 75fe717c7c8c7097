import { expect } from 'chai'
import Mocha, { type RootHookObject } from 'mocha'
import { Mishaps } from './process/mishaps.js'
import { beginTest, waitedFor } from './time/waiting.js'

const mishaps = new Mishaps()

/** Mocha runs this around every test, including the hooks of the test: see `.mocharc.json`. */
export const mochaHooks: RootHookObject = {
  beforeEach() {
    beginTest()
    mishaps.watch()
  },
  async afterEach(this: Mocha.Context) {
    const seen = await mishaps.end()
    // A test that fails in its middle leaves work that fails, too; an error of this hook would end the whole run.
    const { currentTest } = this
    if (currentTest?.isPassed() || currentTest?.isPending()) expect(seen).to.deep.equal([])
  },
}

interface TimingOut {
  _timeoutError: (this: unknown, milliseconds: number) => Error
}

// Mocha makes this error when the time is over; a hook would run too late, after the waits have ended.
const runnable = Mocha.Runnable.prototype as unknown as TimingOut
const timeoutError = runnable._timeoutError
runnable._timeoutError = function (milliseconds) {
  const error = timeoutError.call(this, milliseconds)
  const waited = waitedFor()
  if (waited === '') return error
  const message = `waited ${milliseconds / 1000} s for ${waited}`
  error.stack = (error.stack ?? '').replace(error.message, message)
  error.message = message
  return error
}
