import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { readText, root } from '../support/repository/repository.js'
import { closeServers, serve } from '../support/servers/servers.js'

const run = promisify(execFile)
const program = 'scripts/playground.mjs'

describe('npm start', function () {
  this.timeout(30_000)
  afterEach(closeServers)

  it('runs that program', () => {
    expect(readText('package.json')).to.include(`"start": "node ${program}"`)
  })

  for (const PORT of ['abc', '70000', '-1', '3.5', '0x50']) {
    it(`refuses PORT=${PORT} in one sentence, before it builds anything`, async () => {
      expect(await refusal({ PORT })).to.equal(
        `PORT is "${PORT}", but a port is a whole number from 0 to 65535: try "PORT=3001 npm start".\n`,
      )
    })
  }

  it('says in one sentence that the port is in use, before it builds anything', async () => {
    const { port } = await serve((req, res) => res.end())
    expect(await refusal({ PORT: String(port) })).to.equal(
      `Port ${port} of 127.0.0.1 is in use: end the program that has it, or try "PORT=3001 npm start".\n`,
    )
  })

  it('says in one sentence that HOST is not this machine', async () => {
    // RFC 5737: an address of documentation.
    expect(await refusal({ HOST: '192.0.2.1' })).to.equal(
      'HOST is "192.0.2.1", which is no address of this machine: try "HOST=0.0.0.0 npm start".\n',
    )
  })

  it('compiles all that it needs', async () => {
    for (const project of ['docs/playground', 'docs/playground/page']) {
      await run(process.execPath, ['node_modules/typescript/bin/tsc', '-p', project, '--noEmit'], {
        cwd: root,
      })
    }
  })

  it('prints the address of the page, and serves it there', async () => {
    // Built already: another build would take the package away from tests that run at the same time.
    const child = spawn(process.execPath, [program, '--built'], {
      cwd: root,
      env: { ...process.env, PORT: '0', HOST: '' },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    try {
      const [, url = ''] =
        /^The playground is on (http:\/\/localhost:\d+) \(Ctrl\+C ends it\)/.exec(await firstLine(child)) ??
        []
      expect(await (await fetch(url.replace('localhost', '127.0.0.1'))).text()).to.contain(
        '<title>sluiceway playground</title>',
      )
    } finally {
      const gone = once(child, 'exit')
      child.kill()
      await gone
    }
  })
})

/** What the program prints before it gives up. */
async function refusal(environment: Readonly<Record<string, string>>): Promise<string> {
  const env = { ...process.env, PORT: '', HOST: '', ...environment }
  const failed = await run(process.execPath, [program], { cwd: root, env, timeout: 20_000 }).catch(
    (error: { code: number; stdout: string; stderr: string }) => error,
  )
  expect(failed).to.include({ code: 1, stdout: '' })
  return failed.stderr
}

async function firstLine({ stdout }: ChildProcess): Promise<string> {
  if (stdout === null) return ''
  const [line] = (await once(createInterface({ input: stdout }), 'line')) as [string]
  return line
}
