import { type ChildProcess, exec, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { expect } from 'chai'
import { closeServers } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { fronts } from './fronts.js'
import type { Outcome } from './left-behind.js'
import { membersOf, sh } from './piped.js'
import { asked } from './situations.js'

const exited = (code: number): Outcome => ({ exit: { code, signal: null } })

for (const front of fronts) {
  describe(`pipeChild on ${front.name}`, () => {
    afterEach(closeServers)

    describe('if the output of the child', () => {
      it('was read to its end by other code: sends the exit', async () => {
        const start = (): ChildProcess => sh('echo gone; exec >&- 2>&-; exit 3')
        const before = ({ stdout }: ChildProcess): unknown => once(stdout!.resume(), 'end')
        const [reply, outcome] = await asked(front, { start, before, type: 'text/event-stream' })
        expect(await reply.ended()).to.equal('event: exit\ndata: {"code":3,"signal":null}\n\n')
        expect(await outcome).to.deep.equal(exited(3))
      })

      it('is read by others too: sends all of it', async () => {
        let other = ''
        const before = ({ stdout }: ChildProcess): void =>
          void stdout!.on('data', (chunk: Buffer) => (other += chunk))
        const [reply] = await asked(front, { start: () => sh('echo both'), before })
        expect([await reply.ended(), other]).to.deep.equal(['both\n', 'both\n'])
      })

      it('is destroyed: sends the earlier output, and waits for the child', async () => {
        const during = ({ stdout }: ChildProcess): unknown =>
          once(stdout!, 'data').then(() => stdout!.destroy())
        const [reply, outcome] = await asked(front, {
          start: () => sh('echo out; sleep 0.1; exit 3'),
          during,
        })
        expect(await reply.ended()).to.equal('out\n')
        expect(await outcome).to.deep.equal(exited(3))
      })

      it('is destroyed before the call: sends stderr', async () => {
        const before = ({ stdout }: ChildProcess): unknown => stdout!.destroy()
        const [reply, outcome] = await asked(front, {
          start: () => sh('sleep 0.1; echo err >&2; exit 3'),
          before,
        })
        expect(await reply.ended()).to.equal('err\n')
        expect(await outcome).to.deep.equal(exited(3))
      })

      it('fails: cuts the response, ends the child and rejects with its error', async () => {
        const during = ({ stdout }: ChildProcess): unknown =>
          once(stdout!, 'data').then(() => stdout!.destroy(new Error('read')))
        const [reply, outcome] = await asked(front, { start: () => sh('echo out; sleep 60 & wait'), during })
        expect(await reply.ended().catch(() => 'cut')).to.equal('cut')
        expect((await outcome).error?.message).to.equal('read')
      })

      it('has failed before the call: rejects before anything is sent', async () => {
        const before = ({ stdout }: ChildProcess): Promise<unknown> => {
          stdout!.on('error', () => {}).destroy(new Error('read'))
          return new Promise((resolve) => void stdout!.once('close', resolve))
        }
        const [reply, outcome] = await asked(front, { start: () => sh('sleep 60 & wait'), before })
        expect(await reply.ended()).to.equal('refused: read')
        expect((await outcome).error?.message).to.equal('read')
      })

      for (const encoding of ['utf8', 'hex', 'latin1', 'base64', 'utf16le'] as const) {
        it(`has the encoding ${encoding}: sends its bytes`, async () => {
          const before = ({ stdout }: ChildProcess): void => void stdout!.setEncoding(encoding)
          const start = (): ChildProcess =>
            spawn('printf', ['gr\u00fc\u00dfe \u{1f30a}'], { stdio: ['ignore', 'pipe', 'ignore'] })
          const [reply] = await asked(front, { start, before })
          const bytes = Buffer.from(await reply.ended(), 'latin1')
          // UTF-16 takes two bytes at a time.
          expect(bytes.toString()).to.equal('gr\u00fc\u00dfe \u{1f30a}')
        })
      }

      it('is in object mode, of strings: sends them', async () => {
        const [reply] = await asked(front, { start: () => withOutput('one ', 'two') })
        expect(await reply.ended()).to.equal('one two')
      })

      it('holds objects: cuts the response, ends the child, and rejects with a TypeError', async () => {
        const [reply, outcome] = await asked(front, { start: () => withOutput('one', { line: 'two' }) })
        expect(await reply.ended().catch(() => 'cut')).to.equal('cut')
        expect((await outcome).error).to.be.instanceOf(TypeError)
        expect((await outcome).error?.message).to.match(/holds objects, not bytes/)
      })

      it('is too long for execFile, which ends the child: sends its exit', async () => {
        const start = (): ChildProcess =>
          execFile('sh', ['-c', 'head -c 2000 /dev/zero; exec sleep 60'], { maxBuffer: 1000 }, () => {})
        const [reply, outcome] = await asked(front, { start })
        await reply.ended()
        expect((await outcome).exit).to.deep.equal({ code: null, signal: 'SIGTERM' })
      })

      it('is closed while the child lives on: waits for it', async () => {
        const start = (): ChildProcess => sh('echo out; exec >&- 2>&-; read line; exit 3')
        const during = ({ stdout, stdin }: ChildProcess): unknown =>
          once(stdout!, 'end').then(() => stdin!.write('go\n'))
        const [reply, outcome] = await asked(front, { start, during, type: 'text/event-stream' })
        expect(await reply.ended()).to.match(/^data: out\n\nevent: exit\ndata: \{"code":3/)
        expect(await outcome).to.deep.equal(exited(3))
      })

      it('is held by a grandchild after its exit: sends the output of the grandchild', async () => {
        const during = (child: ChildProcess): unknown => once(child, 'exit').then(() => undefined)
        const [reply, outcome] = await asked(front, {
          start: () => sh('(sleep 0.1; echo late) & echo out'),
          during,
        })
        expect(await reply.ended()).to.equal('out\nlate\n')
        expect(await outcome).to.deep.equal(exited(0))
      })

      it('is held by a process that has left the group: settles when the client leaves', async () => {
        const escaped = deferred<number>()
        const during = ({ stdout }: ChildProcess): void => {
          stdout!.once('data', (chunk: Buffer) => escaped.resolve(Number(String(chunk))))
        }
        const [reply, outcome] = await asked(front, {
          start: () => sh('setsid sh -c "echo \\$\\$; exec sleep 60" & wait'),
          during,
        })
        const pid = await escaped.promise
        reply.leave()
        expect((await outcome).exit).to.deep.equal({ code: null, signal: 'SIGTERM' })
        expect(membersOf(pid)).to.deep.equal([pid])
        process.kill(pid)
      })
    })

    it('resolves with the exit if an AbortSignal ends the child', async () => {
      const abort = new AbortController()
      const start = (): ChildProcess =>
        spawn('sh', ['-c', 'echo out; sleep 60'], { signal: abort.signal, detached: true })
      const during = ({ stdout, pid }: ChildProcess): unknown =>
        once(stdout!, 'data').then(() => (abort.abort(), process.kill(-pid!)))
      const [reply, outcome] = await asked(front, { start, during })
      expect(await reply.ended()).to.equal('out\n')
      expect((await outcome).exit).to.deep.equal({ code: null, signal: 'SIGTERM' })
    })

    it('sends the output of exec of another encoding unchanged', async () => {
      const [reply] = await asked(front, {
        start: () => exec('printf gr\u00fc\u00dfe', { encoding: 'latin1' }, () => {}),
      })
      expect(Buffer.from(await reply.ended(), 'latin1').toString()).to.equal('gr\u00fc\u00dfe')
    })
  })
}

/** A child whose stdout another stream has taken the place of, as libraries do. */
function withOutput(...chunks: readonly unknown[]): ChildProcess {
  const stdout = new PassThrough({ objectMode: true })
  const child = Object.assign(sh('sleep 0.2 >/dev/null 2>&1'), { stdout })
  for (const chunk of chunks) stdout.write(chunk)
  stdout.end()
  return child
}
