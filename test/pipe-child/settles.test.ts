import { type ChildProcess, exec, execFile, fork, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import http2 from 'node:http2'
import { expect } from 'chai'
import compression from 'compression'
import type { PipeChildOptions } from 'sluiceway'
import type { Handler } from '../support/express/hosts.js'
import { closeServers } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { until } from '../support/time/until.js'
import { type Asked, type Front, fronts, type Reply, type Served } from './fronts.js'
import { type Outcome, pipedCleanly } from './left-behind.js'
import { sh } from './piped.js'

type Step = (res: ServerResponse, child: ChildProcess, req: IncomingMessage) => unknown

/** One call of `pipeChild`, and what happens around it on the server. */
interface Situation {
  readonly start?: () => ChildProcess
  readonly before?: Step
  /** Begins at the same time as the call, or with the first byte of output. */
  readonly during?: Step
  readonly options?: PipeChildOptions
  readonly type?: string
  readonly asked?: Asked
}

const SLEEP = 'echo ready; sleep 60 & wait'
const CHATTY = 'cat /dev/zero'
const ended = { exit: { code: null, signal: 'SIGTERM' } }

interface Arranged extends Served {
  readonly outcome: Promise<Outcome>
}

/** Serves one situation; an error is answered with its code or message where nothing was sent. */
async function arrange(front: Front, situation: Situation): Promise<Arranged> {
  const outcome = deferred<Outcome>()
  const served = await front.serve(async (req, res) => {
    const child = (situation.start ?? (() => sh(SLEEP)))()
    if (situation.type !== undefined) res.setHeader('Content-Type', situation.type)
    const waiting = situation.before?.(res, child, req)
    if (waiting instanceof Promise) await waiting
    const piped = pipedCleanly(req, res, child, situation.options)
    void situation.during?.(res, child, req)
    const { error, ...rest } = await piped.catch((failure: Error) => ({ error: failure, exit: undefined }))
    if (error !== undefined && !res.headersSent)
      res.end(`refused: ${(error as NodeJS.ErrnoException).code ?? error.message}`)
    outcome.resolve({ ...rest, ...(error && { error }) } as Outcome)
  })
  return { ...served, outcome: outcome.promise }
}

async function settled(front: Front, situation: Situation): Promise<Outcome & { reply: Reply }> {
  const { ask, outcome } = await arrange(front, situation)
  const reply = await ask(situation.asked)
  void reply.ended().catch(() => {})
  return { reply, ...(await outcome) }
}

for (const front of fronts) {
  describe(`pipeChild on ${front.name}`, () => {
    afterEach(closeServers)

    describe('when the handler ends the response', () => {
      const endIt: Step = (res) => res.end('time limit\n')
      const moments: Record<string, Situation> = {
        'before the call': { before: endIt },
        'with the call, before the child has said anything': {
          start: () => sh('sleep 60 & wait'),
          during: endIt,
        },
        'while the child is silent': {
          during: (res, { stdout }) => once(stdout!, 'data').then(() => res.end()),
        },
        'while the child writes': {
          start: () => sh(CHATTY),
          during: (res, { stdout }) => once(stdout!, 'data').then(() => res.end()),
        },
        'by an error': { during: (res, { stdout }) => once(stdout!, 'data').then(() => res.destroy()) },
        'by an error before the call': { before: (res) => void res.destroy() },
      }

      for (const [moment, situation] of Object.entries(moments)) {
        it(`${moment}: ends the child and resolves`, async () => {
          const { ask, outcome } = await arrange(front, situation)
          const asked = ask()
          asked.then(
            (reply) => void reply.ended().catch(() => {}),
            () => {},
          )
          const { exit, error } = await outcome
          expect(error?.message).to.equal(undefined)
          expect(exit).to.deep.equal(ended.exit)
        })
      }

      it('before the call, with more than the client reads: ends the child while the client stays', async () => {
        const { ask, outcome } = await arrange(front, {
          before: (res) => void res.end(Buffer.alloc(16 * 1024 * 1024)),
        })
        const reply = await ask()
        expect((await outcome).exit).to.deep.equal(ended.exit)
        expect(reply.body.destroyed).to.equal(false)
        reply.leave()
      })

      it('and the client does not read: ends the blocked child while the client stays', async () => {
        const { ask, outcome } = await arrange(front, {
          start: () => sh(CHATTY),
          during: (res, { stdout }) => until(() => stdout!.isPaused()).then(() => res.end()),
        })
        const reply = await ask()
        expect((await outcome).exit).to.deep.equal(ended.exit)
        expect(reply.body.destroyed).to.equal(false)
        reply.leave()
      })
    })

    it('ends the blocked child when the handler ends a compressed response that the client does not read', async () => {
      const outcome = deferred<Outcome>()
      const { ask } = await front.serve(compression() as unknown as Handler, (req, res) => {
        res.setHeader('Content-Type', 'text/plain')
        // More than the buffers of both ends and of the kernel.
        res.write(randomBytes(16 * 1024 * 1024))
        const child = sh(CHATTY)
        void pipedCleanly(req, res, child).then(outcome.resolve)
        void until(() => child.stdout!.isPaused()).then(() => res.end())
      })
      const reply = await ask({ headers: { 'accept-encoding': 'gzip' } })
      expect(await outcome.promise).to.deep.equal(ended)
      expect(reply.body.destroyed).to.equal(false)
      reply.leave()
    })

    describe('when the client leaves', () => {
      it('before the call: ends the child at once', async () => {
        const closed: Step = (res, { stdout }, req) => {
          void once(stdout!, 'data').then(() => req.socket.destroy())
          return new Promise((resolve) => void res.once('close', resolve))
        }
        const { ask, outcome } = await arrange(front, { before: closed })
        void ask().catch(() => {})
        expect(await outcome).to.deep.equal(ended)
      })

      for (const type of ['text/plain', 'text/event-stream']) {
        it(`in the middle of ${type}: ends the child`, async () => {
          const { ask, outcome } = await arrange(front, { type })
          const reply = await ask()
          await reply.received('ready')
          reply.leave()
          expect(await outcome).to.deep.equal(ended)
        })
      }

      it('after it has not read for a while: ends the blocked child', async () => {
        const blocked = deferred()
        const { ask, outcome } = await arrange(front, {
          start: () => sh(CHATTY),
          during: (_res, { stdout }) => until(() => stdout!.isPaused()).then(() => blocked.resolve()),
        })
        const reply = await ask()
        await blocked.promise
        reply.leave()
        expect(await outcome).to.deep.equal(ended)
      })
    })

    describe('when the child cannot be started', () => {
      const commands: Record<string, [string, () => ChildProcess]> = {
        'a missing command': ['ENOENT', () => spawn('no-such-command', { detached: true })],
        'a file that is no program': ['EACCES', () => spawn('/etc/passwd')],
        'a missing folder': ['ENOENT', () => spawn('echo', { cwd: '/no/such/folder' })],
        'a missing command, without pipes': ['ENOENT', () => spawn('no-such-command', { stdio: 'ignore' })],
      }
      const moments: Record<string, Step | undefined> = {
        'in the tick of the call': undefined,
        'and has said so before the call': (_res, child) => once(child, 'error').catch(() => {}),
        'and has closed before the call': (_res, child) => {
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
          before: (res) => void res.destroy(),
        })
        void ask().catch(() => {})
        expect((await outcome).error).to.include({ code: 'ENOENT' })
      })
    })

    describe('of a child that has exited before the call', () => {
      it('with its output unread, which Node discards by then: sends the exit', async () => {
        const { reply, exit } = await settled(front, {
          start: () => sh('echo unread; echo wrong >&2; exit 3'),
          before: (_res, child) => once(child, 'exit'),
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
            before: (_res, child) => {
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

    if (front.isHttp2) {
      const ends: Record<string, (served: Arranged, stream: Reply) => void> = {
        'resets its stream': (_served, { body }) =>
          (body as http2.ClientHttp2Stream).close(http2.constants.NGHTTP2_CANCEL),
        'destroys its stream': (_served, { body }) => void body.destroy(),
        'destroys its session': ({ session }) => session().destroy(),
        'says GOAWAY with an error': ({ session }) =>
          session().destroy(undefined, http2.constants.NGHTTP2_INTERNAL_ERROR),
        'cuts its connection': ({ server }) => void server.connections[0]!.destroy(),
      }
      for (const [what, end] of Object.entries(ends)) {
        it(`ends the child of a client that ${what}`, async () => {
          const arranged = await arrange(front, {})
          const reply = await arranged.ask()
          await reply.received('ready')
          end(arranged, reply)
          expect(await arranged.outcome).to.deep.equal(ended)
        })
      }

      it('lets the response of a client finish that closes its session in order', async () => {
        const arranged = await arrange(front, { start: () => sh('echo ready; read line; echo more') })
        const reply = await arranged.ask()
        await reply.received('ready')
        arranged.session().close()
        const again = await arrange(front, { start: () => sh('echo other') })
        expect(await (await again.ask()).ended()).to.equal('other\n')
        reply.leave()
        expect((await arranged.outcome).error).to.equal(undefined)
      })
    }
  })
}
