import { type ChildProcess, exec, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { PassThrough } from 'node:stream'
import { expect } from 'chai'
import type { PipeChildOptions } from 'sluiceway'
import { closeServers } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { type Asked, type Front, fronts, type Reply } from './fronts.js'
import { type Outcome, pipedCleanly } from './left-behind.js'
import { membersOf, sh } from './piped.js'

interface Situation {
  readonly start: () => ChildProcess
  readonly before?: (child: ChildProcess, res: ServerResponse) => unknown
  readonly during?: (child: ChildProcess, res: ServerResponse, req: IncomingMessage) => unknown
  readonly options?: PipeChildOptions
  readonly type?: string
  readonly asked?: Asked
}

async function asked(front: Front, situation: Situation): Promise<[Reply, Promise<Outcome>]> {
  const outcome = deferred<Outcome>()
  const { ask } = await front.serve(async (req, res) => {
    if (situation.type !== undefined) res.setHeader('Content-Type', situation.type)
    const child = situation.start()
    const waiting = situation.before?.(child, res)
    if (waiting instanceof Promise) await waiting
    const piped = pipedCleanly(req, res, child, situation.options)
    situation.during?.(child, res, req)
    const found = await piped
    if (found.error !== undefined && !res.headersSent) res.end(`refused: ${found.error.message}`)
    outcome.resolve(found)
  })
  return [await ask(situation.asked), outcome.promise]
}

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

    describe('for a response without a body', () => {
      for (const [what, method, status] of [
        ['HEAD', 'HEAD', 200],
        ['204', 'GET', 204],
        ['304', 'GET', 304],
      ] as const) {
        for (const [type, exit] of [
          ['text/plain', 'none'],
          ['text/event-stream', 'event'],
          ['text/plain', 'trailer'],
        ] as const) {
          it(`${what}, ${type}, exit ${exit}: runs the child to its end, and sends none`, async () => {
            const before = (_child: unknown, res: ServerResponse): void => {
              res.statusCode = status
            }
            const start = (): ChildProcess => sh('head -c 500000 /dev/zero; echo err >&2; exit 3')
            const [reply, outcome] = await asked(front, {
              start,
              before,
              type,
              options: { exit },
              asked: { method },
            })
            expect(reply.status).to.equal(status)
            expect(await reply.ended()).to.equal('')
            expect(reply.headers).not.to.have.property('trailer')
            expect(await outcome).to.deep.equal(exited(3))
          })
        }
      }

      for (const [type, options] of [
        ['text/event-stream', {}],
        [undefined, {}],
        [undefined, { end: false }],
      ] as const) {
        it(`HEAD, ${type ?? 'without a type'}, ${JSON.stringify(options)}: has the headers that GET has`, async () => {
          const { ask } = await front.serve((req, res) => {
            if (type !== undefined) res.setHeader('Content-Type', type)
            void pipedCleanly(req, res, sh('echo out'), options).then(() => res.end())
          })
          const described: unknown[] = []
          for (const method of ['GET', 'HEAD']) {
            const reply = await ask({ method })
            const {
              'content-type': given,
              'x-content-type-options': sniffing,
              'cache-control': kept,
            } = reply.headers
            described.push({ given, sniffing, kept })
            await reply.ended()
          }
          expect(described[1]).to.deep.equal(described[0])
          expect(described[1]).to.have.property('given', type ?? 'text/plain; charset=utf-8')
        })
      }

      if (!front.isHttp2) {
        it('HEAD that the application handles as GET: sends none, and no trailer', async () => {
          const { ask } = await front.serve((req, res) => {
            req.method = 'GET'
            void pipedCleanly(req, res, sh('echo a; exit 3'), { exit: 'trailer' }).then(outcome.resolve)
          })
          const outcome = deferred<Outcome>()
          const reply = await ask({ method: 'HEAD' })
          expect(reply.status).to.equal(200)
          expect(await reply.ended()).to.equal('')
          expect(await outcome.promise).to.deep.equal(exited(3))
        })
      }

      it('ends the child when the client leaves', async () => {
        const outcome = deferred<Outcome>()
        const { ask } = await front.serve((req, res) => {
          const child = sh('echo ready; sleep 60 & wait')
          child.stdout!.once('data', () => req.socket.destroy())
          void pipedCleanly(req, res, child).then(outcome.resolve)
        })
        ask({ method: 'HEAD' }).catch(() => {})
        expect((await outcome.promise).exit).to.deep.equal({ code: null, signal: 'SIGTERM' })
      })
    })

    describe('with exit: trailer', () => {
      it('sends it behind a body of no known length', async () => {
        const [reply] = await asked(front, {
          start: () => sh('echo out; exit 3'),
          options: { exit: 'trailer' },
        })
        expect(reply.headers).to.have.property('trailer', 'Exit-Code, Exit-Signal')
        expect(await reply.ended()).to.equal('out\n')
        expect(reply.trailers()).to.have.property('exit-code', '3')
      })

      it('beside a Content-Length: sends the body, and a trailer only over HTTP/2', async () => {
        const before = (_child: unknown, res: ServerResponse): void => void res.setHeader('Content-Length', 4)
        const [reply, outcome] = await asked(front, {
          start: () => sh('echo out; exit 3'),
          before,
          options: { exit: 'trailer' },
        })
        expect(reply.status).to.equal(200)
        expect(await reply.ended()).to.equal('out\n')
        expect('exit-code' in reply.trailers()).to.equal(front.isHttp2)
        // The client has the whole by then, and may have left before the exit.
        expect((await outcome).error).to.equal(undefined)
      })
    })

    it('rejects with the exception of a method that has sent the head', async () => {
      const { ask } = await front.serve(async (req, res) => {
        const flush = res.flushHeaders.bind(res)
        res.flushHeaders = () => {
          flush()
          throw new Error('late')
        }
        const { error } = await pipedCleanly(req, res, sh('sleep 60 & wait'))
        res.end(error?.message)
      })
      expect(await (await ask()).ended()).to.equal('late')
    })

    it('leaves none of its headers behind if the head cannot be sent', async () => {
      const { ask } = await front.serve(async (req, res) => {
        const flush = res.flushHeaders.bind(res)
        res.flushHeaders = () => {
          res.flushHeaders = flush
          throw new Error('no head')
        }
        const { error } = await pipedCleanly(req, res, sh('sleep 60 & wait'), { exit: 'trailer' })
        res.end(`${error?.message}: ${res.getHeaderNames().join()}`)
      })
      const reply = await ask()
      expect(await reply.ended()).to.match(/^no head: (?!.*content-type)(?!.*trailer)/)
    })

    for (const [what, type, sniffs] of [
      ['its own default', undefined, 'nosniff'],
      ["the handler's text/plain", 'text/plain', 'nosniff'],
      ['text/plain with a charset', 'Text/Plain;charset=latin1', 'nosniff'],
      ['text/event-stream', 'text/event-stream', undefined],
      ['another type', 'text/csv', undefined],
    ] as const) {
      it(`${sniffs ? 'asks' : 'does not ask'} browsers not to guess the type: ${what}`, async () => {
        const [reply] = await asked(front, { start: () => sh('echo out'), ...(type && { type }) })
        expect(reply.headers['x-content-type-options']).to.equal(sniffs)
        await reply.ended()
      })
    }

    it('leaves the X-Content-Type-Options of the handler alone', async () => {
      const before = (_child: unknown, res: ServerResponse): void =>
        void res.setHeader('X-Content-Type-Options', 'own')
      const [reply] = await asked(front, { start: () => sh('echo out'), before })
      expect(reply.headers).to.have.property('x-content-type-options', 'own')
      await reply.ended()
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
