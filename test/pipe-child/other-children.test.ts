import type { ChildProcess } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { expect } from 'chai'
import { type ChildExit, pipeChild, type PipedChild } from 'sluiceway'
import { closeServers } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { fronts } from './fronts.js'
import { sh } from './piped.js'
import { asked } from './situations.js'

/** As execa makes it: a child that is a promise of its end as well, and rejects where that is none to be glad of. */
function promisedChild(script: string): ChildProcess & Promise<void> {
  const child = sh(script)
  const promise = new Promise<void>((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code, signal) =>
      code === 0 ? resolve() : reject(new Error(`ended: ${code ?? signal}`)),
    )
  })
  for (const name of ['then', 'catch', 'finally'] as const) {
    Object.defineProperty(child, name, { value: promise[name].bind(promise) })
  }
  return child as never
}

/** As zx makes it: a promise with the methods of a child, without its events, that rejects with a failure. */
function processPromise(script: string): PipedChild {
  const child = sh(script)
  const { pid, stdout } = child
  const ended = new Promise<void>((_, reject) => child.once('close', () => reject(new Error('failed'))))
  const promise = { child, pid, stdout, exitCode: ended, kill: () => true, on: () => promise }
  // `asked` would await a Promise.
  // oxlint-disable-next-line unicorn/no-thenable -- zx's promise is one
  return Object.defineProperty(promise, 'then', { value: ended.then.bind(ended) })
}

/** As tinyexec makes it: an object with the child in `process`, that reads the output itself once it is awaited. */
function executed(script: string): PipedChild {
  const child = sh(script)
  const then = (resolve: (output: string) => void): void => {
    const chunks: unknown[] = []
    child.stdout!.on('readable', () => chunks.push(child.stdout!.read()))
    child.once('close', () => resolve(chunks.join('')))
  }
  class Result {
    readonly process = child
    readonly kill = (): boolean => child.kill()
  }
  // oxlint-disable-next-line unicorn/no-thenable -- the result of tinyexec is one
  return Object.defineProperty(new Result(), 'then', { value: then })
}

for (const front of fronts) {
  describe(`pipeChild on ${front.name}`, () => {
    afterEach(closeServers)

    describe('with a promise that has a child and its methods, as of zx', () => {
      it('sends the output of the child, and leaves no unhandled rejection', async () => {
        const [reply, outcome] = await asked(front, { start: () => processPromise('echo out; exit 3') })
        expect(await reply.ended()).to.equal('out\n')
        expect(await outcome).to.deep.equal({ exit: { code: 3, signal: null } })
      })
    })

    describe('with an object that has a child as its process, as of tinyexec', () => {
      it('sends the output of the child', async () => {
        const [reply, outcome] = await asked(front, { start: () => executed('echo out; exit 3') })
        expect(await reply.ended()).to.equal('out\n')
        expect((await outcome).exit).to.deep.equal({ code: 3, signal: null })
      })
    })

    describe('with a child that is a promise too', () => {
      it('resolves with an exit for which the promise rejects', async () => {
        const [reply, outcome] = await asked(front, { start: start('echo out; exit 3') })
        expect(await reply.ended()).to.equal('out\n')
        expect(await outcome).to.deep.equal({ exit: { code: 3, signal: null } })
      })

      it('leaves no unhandled rejection when the client leaves', async () => {
        const [reply, outcome] = await asked(front, { start: start('echo ready; sleep 60 & wait') })
        await reply.received('ready')
        reply.leave()
        expect(await outcome).to.deep.equal({ exit: { code: null, signal: 'SIGTERM' } })
      })

      it('rejects with its rejection if it never was a process', async () => {
        const never = {
          pid: undefined,
          exitCode: null,
          signalCode: null,
          stdout: null,
          stderr: null,
          kill: () => false,
        }
        const child = Object.assign(new EventEmitter(), never)

        const then = (_: unknown, reject: (error: Error) => void): void => reject(new Error('E2BIG'))
        // oxlint-disable-next-line unicorn/no-thenable -- execa's subprocess is one
        Object.defineProperty(child, 'then', { value: then })
        const [reply] = await asked(front, { start: () => child as never })
        expect(await reply.ended()).to.equal('refused: E2BIG')
      })

      /** A thenable that an async function returned would be awaited. */
      function start(script: string): () => PipedChild {
        return () => promisedChild(script)
      }
    })
  })
}

/** Beyond the largest that a system gives out. */
const NO_PID = 2 ** 30

describe('pipeChild with a child that cannot be ended', () => {
  afterEach(closeServers)

  it('settles a second after SIGKILL', async () => {
    const child = deferred<ChildProcess & { group: number }>()
    const exit = deferred<ChildExit>()
    const { ask } = await fronts[0]!.serve((_req, res) => {
      const stubborn = sh('trap "" TERM; echo ready; while :; do sleep 0.05; done')
      // As of another user: no signal arrives.
      const unreachable = Object.assign(stubborn, { group: stubborn.pid!, pid: NO_PID, kill: () => true })
      child.resolve(unreachable)
      void pipeChild(res, stubborn, { forceKillAfterMs: 10 }).then(exit.resolve)
    })
    const reply = await ask()
    await reply.received('ready')
    reply.leave()
    expect(await exit.promise).to.deep.equal({ code: null, signal: null })
    const { stdout, group } = await child.promise
    expect(stdout!.destroyed).to.equal(true)
    process.kill(-group, 'SIGKILL')
  })
})
