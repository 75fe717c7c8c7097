import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { pipeChild } from 'sluiceway'
import { StreamingClient } from '../support/clients/streaming-client.js'
import { root } from '../support/repository/repository.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { sh } from './piped.js'

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

describe('pipeChild with a child that has exited, and whose output another process holds', () => {
  afterEach(closeServers)

  it('does not signal the process that has got its pid in the meantime', async () => {
    const other = sh('echo started; exec sleep 60')
    await once(other.stdout!, 'data')
    const child = exitingChild()
    const piped = deferred<unknown>()
    const { url } = await serve((_req, res) => {
      child.stdout.write('output')
      piped.resolve(pipeChild(res, child as unknown as ChildProcess))
    })
    const client = await StreamingClient.get(url)
    await client.received('output')
    child.emit('exit', (child.exitCode = 0), null)
    await new Promise((resolve) => void setImmediate(resolve))
    child.pid = other.pid!
    client.leave()
    await piped.promise
    expect([other.exitCode, other.signalCode]).to.deep.equal([null, null])
    other.kill('SIGKILL')
  })
})

/** A child that will exit. Its pid is that of a process which is gone. */
function exitingChild(): ExitingChild {
  const { pid } = spawnSync('true')
  const state = { pid, exitCode: null, signalCode: null, kill: () => true }
  return Object.assign(new EventEmitter(), { ...state, stdout: new PassThrough() })
}

interface ExitingChild extends EventEmitter {
  pid: number
  exitCode: number | null
  readonly stdout: PassThrough
}
