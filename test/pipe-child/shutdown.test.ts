import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { expect } from 'chai'
import { RawClient } from '../support/clients/raw-client.js'
import { readText, root } from '../support/repository/repository.js'
import { until } from '../support/time/until.js'
import { membersOf } from './piped.js'

/** The lines of the page that end the children. */
const [lines = ''] = /process\.once\('SIGTERM'[^]*?\n {2}\}\)/.exec(readText('docs/pipe-child.md')) ?? []

const program = `
import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import { pipeChild } from 'sluiceway'

const server = createServer((req, res) => {
  const child = spawn('sh', ['-c', 'trap "sleep 0.1; exit 7" TERM; sleep 60 & echo ready; wait; wait'], { detached: true })
  console.log(child.pid)
  pipeChild(res, child).then((exit) => console.log(JSON.stringify(exit)))
})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
`

describe('pipeChild in a server that shuts down', () => {
  const file = `${root}build/shutdown-program.mjs`
  let server: ChildProcess
  let printed: string

  async function start(...parts: string[]): Promise<number> {
    writeFileSync(file, parts.join('\n'))
    server = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] })
    printed = ''
    server.stdout!.setEncoding('utf8').on('data', (text: string) => (printed += text))
    const port = await until(() => /^(\d+)\n/.exec(printed)?.[1])
    const client = await RawClient.connect(Number(port))
    client.request('GET', '/')
    await client.untilText('ready')
    return Number(await until(() => /^\d+\n(\d+)\n/.exec(printed)?.[1]))
  }

  afterEach(() => {
    server.kill('SIGKILL')
    rmSync(file, { force: true })
  })

  it('has four lines on its page that end the children, and then the process', async () => {
    expect(lines.split('\n')).to.have.length(4)
    const group = await start(program, lines)
    server.kill('SIGTERM')
    expect(await once(server, 'close')).to.deep.equal([0, null])
    expect(printed).to.match(/\{"code":7,"signal":null\}\n$/)
    expect(membersOf(group)).to.deep.equal([])
  })

  it('leaves them behind without these lines, as the page says', async () => {
    const group = await start(program)
    server.kill('SIGTERM')
    expect(await once(server, 'close')).to.deep.equal([null, 'SIGTERM'])
    expect(membersOf(group)).to.not.deep.equal([])
    process.kill(-group, 'SIGKILL')
  })

  it('waits for them in server.close() alone', async () => {
    const group = await start(
      program,
      'process.once("SIGTERM", () => server.close(() => console.log("closed")))',
    )
    server.kill('SIGTERM')
    process.kill(-group, 'SIGKILL')
    expect(await once(server, 'close')).to.deep.equal([0, null])
    expect(printed).to.match(/"SIGKILL"\}\nclosed\n$/)
  })
})
