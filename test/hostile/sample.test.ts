import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { expect } from 'chai'
import { root } from '../support/repository/repository.js'

describe('hostile clients and careless handlers', () => {
  it('cause no failure in the sample of `npm run hostile`', async function () {
    // Some 15 seconds on an idle machine where nothing fails.
    this.timeout(150_000)
    const program = path.join(root, 'build/trials/hostile/run.js')
    const child = spawn(process.execPath, [program, '--sample'], {
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 140_000,
    })
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    await once(child, 'close')
    expect(output).to.match(/\nhostile: passed\n$/)
  })
})
