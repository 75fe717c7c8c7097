import { type ChildProcess, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { constants } from 'node:os'
import { Readable } from 'node:stream'
import { expect } from 'chai'
import type { PipedChild, PseudoTerminal } from 'sluiceway'
import { closeServers } from '../support/servers/servers.js'
import { fronts } from './fronts.js'
import { sh } from './piped.js'
import { asked } from './situations.js'

/** What node-pty makes, over a child that leads a group: one output, no streams, exits as numbers. */
function terminal(
  script: string,
  child = sh(`exec 2>&1; ${script}`),
): PseudoTerminal & { readonly child: ChildProcess } {
  const emitter = new EventEmitter()
  child.stdout!.setEncoding('utf8').on('data', (data: string) => emitter.emit('data', data))
  child.once('close', (exitCode, signal) =>
    emitter.emit('exit', { exitCode: exitCode ?? 0, signal: signal ? constants.signals[signal] : 0 }),
  )
  const subscribe = (event: string) => (listener: (given: unknown) => void) => {
    emitter.on(event, listener)
    return { dispose: () => void emitter.off(event, listener) }
  }
  return {
    child,
    pid: child.pid!,
    onData: subscribe('data'),
    onExit: subscribe('exit'),
    kill: (signal) => void child.kill(signal as NodeJS.Signals),
    pause: () => void child.stdout!.pause(),
    resume: () => void child.stdout!.resume(),
    emitter,
  } as PseudoTerminal & { child: ChildProcess }
}

for (const front of fronts) {
  describe(`pipeChild on ${front.name}, with a pseudo-terminal`, () => {
    afterEach(closeServers)

    for (const [script, exit] of [
      ['exit 3', { code: 3, signal: null }],
      ['kill -9 $$', { code: null, signal: 'SIGKILL' }],
    ] as const) {
      it(`sends its output, and its exit: ${script}`, async () => {
        const start = (): PipedChild => terminal(`echo gr\u00fc\u00dfe; ${script}`)
        const [reply, outcome] = await asked(front, { start, type: 'text/event-stream' })
        const text = Buffer.from(await reply.ended(), 'latin1').toString()
        expect(text).to.equal(`data: gr\u00fc\u00dfe\n\nevent: exit\ndata: ${JSON.stringify(exit)}\n\n`)
        expect(await outcome).to.deep.equal({ exit })
      })
    }

    it('ends its group when the client leaves, and removes its listeners', async () => {
      let pty: PipedChild & { emitter?: EventEmitter }
      const start = (): PipedChild => (pty = terminal('echo ready; sleep 60 & wait'))
      const [reply, outcome] = await asked(front, { start })
      await reply.received('ready')
      reply.leave()
      expect(await outcome).to.deep.equal({ exit: { code: null, signal: 'SIGTERM' } })
      expect(pty!.emitter!.eventNames()).to.deep.equal([])
    })

    it('ends only the child when the client leaves, if it leads no group', async () => {
      const start = (): PipedChild => terminal('', spawn('sh', ['-c', 'echo ready; exec sleep 60']))
      const [reply, outcome] = await asked(front, { start })
      await reply.received('ready')
      reply.leave()
      expect(await outcome).to.deep.equal({ exit: { code: null, signal: 'SIGTERM' } })
    })

    it('pauses it while the client does not keep up', async () => {
      let pauses = 0
      const start = (): PipedChild => {
        const pty = terminal('yes | head -c 30000000')
        return Object.assign(pty, { pause: () => void (pauses++, pty.child.stdout!.pause()) })
      }
      const [reply, outcome] = await asked(front, { start })
      expect(await reply.ended()).to.have.length(30_000_000)
      expect(pauses).to.be.above(0)
      expect(await outcome).to.deep.equal({ exit: { code: 0, signal: null } })
    })

    it('that has ended before the call: settles, with an exit that is not known', async () => {
      const start = async (): Promise<PipedChild> => {
        const pty = terminal('exit 3')
        await once(pty.child, 'close')
        return pty
      }
      const [reply, outcome] = await asked(front, { start })
      expect(await reply.ended()).to.equal('')
      expect(await outcome).to.deep.equal({ exit: { code: null, signal: null } })
    })

    it('takes no stdin from it', async () => {
      const options = { stdin: Readable.from(['x']) }
      const [reply] = await asked(front, { start: () => terminal('sleep 60'), options })
      expect(await reply.ended()).to.match(/^refused: pipeChild: option "stdin" needs a child with a stdin/)
    })
  })
}
