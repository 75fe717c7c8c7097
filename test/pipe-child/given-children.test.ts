import { type ChildProcess, exec, execFile, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect } from 'chai'
import { closeServers } from '../support/servers/servers.js'
import { fronts } from './fronts.js'
import { sh } from './piped.js'
import { arrange, settled, type Step } from './situations.js'

for (const front of fronts) {
  describe(`pipeChild on ${front.name}, given a child`, () => {
    afterEach(closeServers)

    describe('when the child cannot be started', () => {
      const commands: Record<string, [string, () => ChildProcess]> = {
        'a missing command': ['ENOENT', () => spawn('no-such-command', { detached: true })],
        'a file that is no program': ['EACCES', () => spawn('/etc/passwd')],
        'a missing folder': ['ENOENT', () => spawn('echo', { cwd: '/no/such/folder' })],
        'a missing command, without pipes': ['ENOENT', () => spawn('no-such-command', { stdio: 'ignore' })],
      }
      const moments: Record<string, Step | undefined> = {
        'in the tick of the call': undefined,
        'and has said so before the call': (child) => once(child, 'error').catch(() => {}),
        'and has closed before the call': (child) => {
          child.on('error', () => {})
          return new Promise((resolve) => void child.once('close', resolve))
        },
      }
      for (const [what, [code, start]] of Object.entries(commands)) {
        for (const [moment, before] of Object.entries(moments)) {
          it(`${what}, ${moment}: rejects with its error before anything is sent`, async () => {
            const { reply, error } = await settled(front, { start, ...(before && { before }) })
            expect(error).to.include({ code, syscall: error?.path && `spawn ${error.path}` })
            expect(error?.message).to.equal(`spawn ${error?.path} ${code}`)
            expect(await reply.ended()).to.equal(`refused: ${code}`)
          })
        }
      }

      it('and the client has left already: still rejects', async () => {
        const { ask, outcome } = await arrange(front, {
          start: () => spawn('no-such-command'),
          before: (_child, res) => void res.destroy(),
        })
        void ask().catch(() => {})
        expect((await outcome).error).to.include({ code: 'ENOENT' })
      })
    })

    describe('of a child that has exited before the call', () => {
      it('with its output unread, which Node discards by then: sends the exit', async () => {
        const { reply, exit } = await settled(front, {
          start: () => sh('echo unread; echo wrong >&2; exit 3'),
          before: (child) => once(child, 'exit'),
        })
        expect(exit).to.deep.equal({ code: 3, signal: null })
        expect(await reply.ended()).to.equal('')
      })

      for (const [event, script, expected] of [
        ['close', 'exit 4', { code: 4, signal: null }],
        ['close', 'kill -9 $$', { code: null, signal: 'SIGKILL' }],
      ] as const) {
        it(`with nothing left to read (${script}): sends the exit`, async () => {
          const { reply, exit } = await settled(front, {
            type: 'text/event-stream',
            start: () => sh(script),
            before: (child) => {
              child.stdout!.resume()
              child.stderr!.resume()
              return once(child, event)
            },
          })
          expect(exit).to.deep.equal(expected)
          expect(await reply.ended()).to.equal(`event: exit\ndata: ${JSON.stringify(expected)}\n\n`)
        })
      }
    })

    describe('with other pipes', () => {
      for (const stdio of ['ignore', 'inherit', ['pipe', 'ignore', 'ignore']] as const) {
        it(`none for output (${String(stdio)}): rejects with a TypeError, and ends the child`, async () => {
          const { reply, error } = await settled(front, {
            start: () => spawn('sleep', ['60'], { stdio: stdio as 'ignore', detached: true }),
          })
          expect(error).to.be.instanceOf(TypeError)
          expect(await reply.ended()).to.match(
            /^refused: pipeChild: the child has no output to read; spawn it with stdio .*, or fork it with silent: true/,
          )
        })
      }

      it('stderr alone: sends it', async () => {
        const start = (): ChildProcess =>
          spawn('sh', ['-c', 'echo out; echo err >&2'], { stdio: ['ignore', 'ignore', 'pipe'] })
        const { reply, exit } = await settled(front, { start })
        expect(await reply.ended()).to.equal('err\n')
        expect(exit).to.deep.equal({ code: 0, signal: null })
      })

      it('stderr alone, which is to be dropped: rejects', async () => {
        const start = (): ChildProcess => spawn('sleep', ['60'], { stdio: ['ignore', 'ignore', 'pipe'] })
        const { error } = await settled(front, { start, options: { stderr: 'drop' } })
        expect(error?.message).to.match(/has no output to read/)
      })

      it('several outputs, which are not read', async () => {
        const start = (): ChildProcess =>
          spawn('sh', ['-c', 'echo more >&3; echo out; sleep 60 >/dev/null 2>&1 & exit 0'], {
            stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
            detached: true,
          })
        let group = 0
        const { ask, server } = await front.serve(async (_req, res) => {
          const child = start()
          group = child.pid!
          const { pipeChild } = await import('sluiceway')
          res.setHeader('X-Settled', 'no')
          await pipeChild(res, child)
        })
        // The grandchild has the fourth pipe open, and none of the output.
        expect(await (await ask()).ended()).to.equal('out\n')
        process.kill(-group, 'SIGKILL')
        expect(server.port).to.be.above(0)
      })
    })

    describe('of a child from elsewhere', () => {
      const script = 'echo said; exit 6'
      const starts: Record<string, () => ChildProcess> = {
        exec: () => exec(script, () => {}),
        'exec, in another encoding': () => exec(script, { encoding: 'latin1' }, () => {}),
        execFile: () => execFile('sh', ['-c', script], () => {}),
        fork: () => fork(new URL('forked.js', import.meta.url), { silent: true }),
      }
      for (const [name, start] of Object.entries(starts)) {
        it(`${name}: sends its output and its exit`, async () => {
          const { reply, exit } = await settled(front, { start })
          expect(await reply.ended()).to.equal('said\n')
          expect(exit).to.deep.equal({ code: 6, signal: null })
        })
      }
    })
  })
}
