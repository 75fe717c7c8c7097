import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect } from 'chai'

const program = fileURLToPath(new URL('classes-program.js', import.meta.url))
const both = { requests: true, responses: true }

// In a process of its own: V8 shares fewer classes after very many applications have been made.
describe('the hidden classes of V8', () => {
  it('are shared by the requests and responses of Express behind each middleware', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [program])
    expect(JSON.parse(stdout)).to.deep.equal({
      'Express 5, bodyCache': both,
      'Express 5, maxBytes': both,
      'Express 5, autoFlush': both,
      'Express 5, passthroughProxy': both,
      'Express 4, bodyCache': both,
      'Express 4, maxBytes': both,
      'Express 4, autoFlush': both,
      'Express 4, passthroughProxy': both,
    })
  })
})
