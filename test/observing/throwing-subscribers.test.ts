import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { root } from '../support/repository/repository.js'

/**
 * Serves one request of each kind with subscribers that throw, and prints what its clients got, and what the process
 * heard. In a process of its own: an uncaught exception would be that of the test.
 */
const program = `
  import { subscribe } from 'node:diagnostics_channel'
  import { createServer } from 'node:http'
  import { once } from 'node:events'
  import { autoFlush, bodyCache, maxBytes, passthroughProxy } from 'sluiceway'

  const uncaught = []
  process.on('uncaughtException', (error) => uncaught.push(error.message))
  const names = ['body:refused', 'body:spilled', 'body:stored', 'flush'].map((name) => 'sluiceway:' + name)
  for (const name of [...names, ...['start', 'end', 'asyncStart', 'asyncEnd'].map((event) => 'tracing:sluiceway:proxy:' + event)])
    subscribe(name, () => { throw new Error(name) })

  async function listen(listener) {
    const server = createServer(listener).listen(0, '127.0.0.1')
    await once(server, 'listening')
    return { server, url: 'http://127.0.0.1:' + server.address().port }
  }
  const upstream = await listen((req, res) => { res.write('up'); req.pipe(res) })
  const steps = [maxBytes(20), bodyCache({ memory: 1 }), autoFlush(), passthroughProxy(upstream.url)]
  const front = await listen((req, res) => {
    const run = (at) => (error) => error ? res.writeHead(error.status).end() : steps[at](req, res, run(at + 1))
    run(0)()
  })
  const got = []
  for (const body of ['body', 'x'.repeat(30)]) {
    const response = await fetch(front.url, { method: 'POST', body })
    got.push(response.status + ' ' + (await response.text()))
  }
  await new Promise(setImmediate)
  console.log(JSON.stringify({ got, uncaught: uncaught.sort() }))
  process.exit()
`

describe('subscribers that throw', () => {
  it('do not affect the request; the process gets each exception, as with any channel', async function () {
    this.timeout(20_000)
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
      cwd: root,
    })
    const { got, uncaught } = JSON.parse(stdout) as { got: string[]; uncaught: string[] }
    expect(got).to.deep.equal(['200 upbody', '413 '])
    expect([...new Set(uncaught)]).to.deep.equal([
      'sluiceway:body:refused',
      'sluiceway:body:spilled',
      'sluiceway:body:stored',
      'sluiceway:flush',
      'tracing:sluiceway:proxy:asyncEnd',
      'tracing:sluiceway:proxy:asyncStart',
      'tracing:sluiceway:proxy:end',
      'tracing:sluiceway:proxy:start',
    ])
  })
})
