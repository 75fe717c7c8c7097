import { spawn } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { root } from '../support/repository/repository.js'

/** A process of its own, in a group of its own, in which a call with `child` is refused or over at once. */
const program = (child: string, call: string): string => `
import { ChildProcess, spawn } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { createServer, get } from 'node:http'
import { pipeChild } from 'sluiceway'

process.on('SIGTERM', () => console.log('SIGTERM'))
const server = createServer(async (req, res) => {
  const child = ${child}
  const error = await (${call}).catch((error) => error)
  console.log(error.code ?? error.name)
  setTimeout(() => server.close(), 200)
  server.closeAllConnections()
})
server.listen(0, () => get({ port: server.address().port, agent: false }).on('error', () => {}))
`

const children = {
  'could not be started': "spawn('no-such-command')",
  // As execa gives one, where spawn itself throws.
  'was never started': 'new ChildProcess()',
  'is a mock with the pid 0':
    'Object.assign(new EventEmitter(), { pid: 0, exitCode: null, signalCode: null, kill: () => true })',
}

describe('pipeChild with a child that has no process', () => {
  const file = `${root}build/never-started-program.mjs`
  afterEach(() => rmSync(file, { force: true }))

  for (const [what, child] of Object.entries(children)) {
    it(`one that ${what}: signals no other process`, async () => {
      writeFileSync(file, program(child, 'pipeChild(res, child, { unknown: true })'))
      const server = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'], detached: true })
      expect(await text(server.stdout)).to.equal('TypeError\n')
    })
  }
})
