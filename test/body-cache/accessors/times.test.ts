import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { root } from '../../support/repository/repository.js'

/** Names of bodies that once blocked, or elsewhere still block, the event loop for more than a second each. */
const bodies = [
  '+ over and over',
  'the largest index',
  'to be scanned',
  'almost',
  'heads of',
  'windows-1252',
  'a long boundary',
]

describe('the accessors of req.bodyCache, with bodies that are expensive to parse', () => {
  it('block the event loop for less than a second', async function () {
    this.timeout(120_000)
    // The program's own bound is 100 ms for 10 KB of the wire. Other tests run beside this one.
    const env = { ...process.env, SLUICEWAY_SLACK: '10', SLUICEWAY_ROUNDS: '1' }
    const program = ['trials/hostile/accessor-times.mjs', ...bodies]
    const { stdout } = await promisify(execFile)(process.execPath, program, { cwd: root, env })
    expect(stdout).to.match(/^Node v.*, \d\d+ bodies/)
    console.log(`      slowest: ${stdout.split('\n')[1]?.trim()}`)
  })
})
