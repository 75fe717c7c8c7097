import { once } from 'node:events'
import { Readable } from 'node:stream'
import { Worker } from 'node:worker_threads'
import { expect } from 'chai'
import { closeServers } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { fronts } from './fronts.js'
import { type Outcome, pipedCleanly } from './left-behind.js'
import { asked } from './situations.js'

function worker(code: string): Worker {
  return new Worker(code, { eval: true, stdout: true, stderr: true })
}

for (const front of fronts) {
  describe(`pipeChild on ${front.name}, with a Worker`, () => {
    afterEach(closeServers)

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
}
