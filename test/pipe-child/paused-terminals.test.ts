import { EventEmitter } from 'node:events'
import { PassThrough } from 'node:stream'
import { expect } from 'chai'
import { pipeChild, type PseudoTerminal } from 'sluiceway'
import { closeServers } from '../support/servers/servers.js'
import { fronts } from './fronts.js'
import { sh } from './piped.js'

/** node-pty's own: it closes a terminal this long after the exit, read or not, and emits 'exit' then. */
const CLOSED_AFTER_MS = 200

function terminal(script: string): PseudoTerminal {
  const child = sh(script)
  const events = new EventEmitter()
  // Node itself lets the stdout of a child flow once it has exited.
  const output = child.stdout!.pipe(new PassThrough())
  output.setEncoding('utf8').on('data', (data: string) => events.emit('data', data))
  child.once('exit', () => setTimeout(() => output.destroy(), CLOSED_AFTER_MS))
  output.once('close', () => events.emit('exit', { exitCode: 0, signal: 0 }))
  const subscribe = (event: string) => (listener: (given: never) => void) => {
    events.on(event, listener as () => void)
    return { dispose: () => void events.off(event, listener as () => void) }
  }
  return {
    pid: child.pid!,
    onData: subscribe('data'),
    onExit: subscribe('exit'),
    kill: () => void child.kill(),
    pause: () => void output.pause(),
    resume: () => void output.resume(),
  }
}

for (const front of fronts) {
  describe(`pipeChild with a terminal that its client makes wait, on ${front.name}`, () => {
    afterEach(closeServers)

    it('sends what the process wrote before it exited', async () => {
      const { ask } = await front.serve(async (_, res) => {
        const pty = terminal('echo first; sleep 0.3; echo last')
        const write = res.write.bind(res) as (chunk: unknown) => boolean
        res.write = (chunk: unknown) => {
          write(chunk)
          setTimeout(() => res.emit('drain'), 5 * CLOSED_AFTER_MS)
          return false
        }
        await pipeChild(res, pty)
      })
      const reply = await ask()
      expect(await reply.ended()).to.equal('first\nlast\n')
    })
  })
}
