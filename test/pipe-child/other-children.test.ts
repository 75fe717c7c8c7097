import { type ChildProcess, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { constants } from 'node:os'
import { Readable } from 'node:stream'
import { Worker } from 'node:worker_threads'
import { expect } from 'chai'
import {
  type ChildExit,
  pipeChild,
  type PipedChild,
  type PipeChildOptions,
  type PseudoTerminal,
} from 'sluiceway'
import { closeServers } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { type Front, fronts, type Reply } from './fronts.js'
import { type Outcome, pipedCleanly } from './left-behind.js'
import { sh } from './piped.js'

interface Situation {
  readonly start: () => PipedChild | Promise<PipedChild>
  readonly options?: PipeChildOptions
  readonly type?: string
}

async function asked(front: Front, { start, options, type }: Situation): Promise<[Reply, Promise<Outcome>]> {
  const outcome = deferred<Outcome>()
  const { ask } = await front.serve(async (req, res) => {
    if (type !== undefined) res.setHeader('Content-Type', type)
    const child = start()
    const found = await pipedCleanly(req, res, child instanceof Promise ? await child : child, options)
    if (found.error !== undefined && !res.headersSent) res.end(`refused: ${found.error.message}`)
    outcome.resolve(found)
  })
  return [await ask(), outcome.promise]
}

function worker(code: string): Worker {
  return new Worker(code, { eval: true, stdout: true, stderr: true })
}

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

    describe('with a Worker', () => {
      it('sends its output, and its exit', async () => {
        const start = (): Worker => worker('console.log("out"); console.error("err"); process.exitCode = 3')
        const [reply, outcome] = await asked(front, {
          start,
          type: 'text/event-stream',
          options: { stderr: 'event' },
        })
        const text = await reply.ended()
        expect(text).to.match(/^(?:data: out\n\n|event: stderr\ndata: err\n\n){2}event: exit\n/)
        expect(text.endsWith('\n\nevent: exit\ndata: {"code":3,"signal":null}\n\n')).to.equal(true)
        expect((await outcome).exit).to.deep.equal({ code: 3, signal: null })
      })

      it('that throws: sends its exit code, and the process lives', async () => {
        const [reply, outcome] = await asked(front, {
          // In the same turn: the error may overtake the output.
          start: () => worker('console.log("out"); throw new Error("x")'),
        })
        expect(await reply.ended()).to.equal('out\n')
        expect((await outcome).exit).to.deep.equal({ code: 1, signal: null })
      })

      for (const thrown of ['undefined', 'null', '5', '"text"', '({ a: 1 })']) {
        it(`that throws ${thrown}: rejects with an Error whose cause is that`, async () => {
          const [reply, outcome] = await asked(front, { start: () => worker(`throw ${thrown}`) })
          const { error } = await outcome
          expect(error).to.be.instanceOf(Error)
          // oxlint-disable-next-line no-eval -- the values above
          expect(error!.cause).to.deep.equal((0, eval)(thrown))
          expect(await reply.ended()).to.match(/^refused: the Worker threw /)
        })
      }

      for (const code of [
        'process.stdin.pipe(process.stdout)',
        '(async () => { for await (const chunk of process.stdin) process.stdout.write(chunk) })()',
      ]) {
        it(`that reads its input before it writes: ${code}`, async () => {
          const [reply, outcome] = await asked(front, {
            start: () => new Worker(code, { eval: true, stdin: true, stdout: true, stderr: true }),
            options: { stdin: Readable.from(['in', 'put']) },
          })
          expect(await reply.ended()).to.equal('input')
          expect((await outcome).exit).to.deep.equal({ code: 0, signal: null })
        })
      }

      it('with an input, whose file is missing: rejects before anything is sent', async () => {
        const start = (): Worker => new Worker('/no/such/file.mjs', { stdin: true, stdout: true })
        const [reply, outcome] = await asked(front, { start, options: { stdin: Readable.from(['x']) } })
        expect((await outcome).error?.message).to.match(/Cannot find module/)
        expect(await reply.ended()).to.match(/^refused: /)
      })

      it('whose file is missing: rejects before anything is sent', async () => {
        const start = (): Worker => new Worker('/no/such/file.mjs', { stdout: true })
        const [reply, outcome] = await asked(front, { start })
        expect((await outcome).error?.message).to.match(/Cannot find module/)
        expect(await reply.ended()).to.match(/^refused: /)
      })

      for (const [what, code] of [
        ['is silent', 'setInterval(() => {}, 1000)'],
        ['never yields', 'for (;;);'],
        ['writes without end', 'setInterval(() => process.stdout.write("x".repeat(100000)), 1)'],
      ] as const) {
        it(`which ${what}: terminates it when the client leaves`, async () => {
          const outcome = deferred<Outcome>()
          const { ask } = await front.serve((req, res) => {
            const thread = worker(code)
            void pipedCleanly(req, res, thread).then(outcome.resolve)
            thread.once('online', () => req.socket.destroy())
          })
          ask().catch(() => {})
          expect((await outcome.promise).exit).to.deep.equal({ code: 1, signal: null })
        })
      }

      it('that is at work already: sends its further output', async () => {
        const start = async (): Promise<Worker> => {
          const thread = worker(
            'require("worker_threads").parentPort.once("message", () => console.log("told"))',
          )
          await once(thread, 'online')
          // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
          setImmediate(() => thread.postMessage('go'))
          return thread
        }
        const [reply] = await asked(front, { start })
        expect(await reply.ended()).to.equal('told\n')
      })

      it('that has exited: settles, with an exit that is not known', async () => {
        const start = async (): Promise<Worker> => {
          const thread = worker('process.exitCode = 3')
          await once(thread, 'exit')
          return thread
        }
        const [reply, outcome] = await asked(front, { start })
        expect(await reply.ended()).to.equal('')
        expect((await outcome).exit).to.deep.equal({ code: null, signal: null })
      })

      it('that has exited: sends no trailer for an exit that is not known', async () => {
        const start = async (): Promise<Worker> => {
          const thread = worker('')
          await once(thread, 'exit')
          return thread
        }
        const [reply] = await asked(front, { start, options: { exit: 'trailer' } })
        await reply.ended()
        expect(reply.trailers()).not.to.have.any.keys('exit-code', 'exit-signal')
      })
    })

    describe('with a pseudo-terminal', () => {
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
