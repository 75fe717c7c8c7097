import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { createGunzip } from 'node:zlib'
import { expect } from 'chai'
import compression from 'compression'
import { autoFlush, pipeChild } from 'sluiceway'
import type { Handler } from '../support/express/hosts.js'
import { closeServers } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { fronts } from './fronts.js'
import { nothingLeft, pipedCleanly } from './left-behind.js'
import { sh } from './piped.js'

const exitEvent = (code: number): string => `event: exit\ndata: {"code":${code},"signal":null}\n\n`

async function failure(promise: Promise<unknown>): Promise<Error> {
  return promise.then(
    () => new Error('resolved'),
    (error: Error) => error,
  )
}

for (const front of fronts) {
  describe(`several pipeChild into one response on ${front.name}`, () => {
    afterEach(closeServers)

    it('with end: false each sends its exit, behind one head, and the last ends the response', async () => {
      const { ask } = await front.serve(async (req, res) => {
        res.setHeader('Content-Type', 'text/event-stream')
        for (const step of ['echo one', 'echo two; exit 2'])
          await pipedCleanly(req, res, sh(step), { end: false })
        res.write('event: note\ndata: between\n\n')
        await pipedCleanly(req, res, sh('echo three; exit 3'))
      })
      expect(await (await ask()).ended()).to.equal(
        `data: one\n\n${exitEvent(0)}data: two\n\n${exitEvent(2)}` +
          `event: note\ndata: between\n\ndata: three\n\n${exitEvent(3)}`,
      )
    })

    it('leaves the end to the handler', async () => {
      const { ask } = await front.serve(async (req, res) => {
        await pipedCleanly(req, res, sh('echo one'), { end: false })
        res.end('the end\n')
      })
      const reply = await ask()
      expect(await reply.ended()).to.equal('one\nthe end\n')
      expect(reply.headers['content-type']).to.equal('text/plain; charset=utf-8')
    })

    for (const command of ['true', 'echo one']) {
      it(`leaves room for a corked rest of the handler that end() uncorks, after: ${command}`, async () => {
        const { ask } = await front.serve(async (_req, res) => {
          await pipeChild(res, sh(command), { end: false })
          res.cork()
          res.write('rest ')
          res.write('of the ')
          res.end('handler\n')
        })
        expect(await (await ask()).ended()).to.match(/^(one\n)?rest of the handler\n$/)
      })
    }

    it('works through compression, and leaves no listener of any on the compressor', async () => {
      const { ask } = await front.serve(
        compression() as unknown as Handler,
        autoFlush(),
        async (_req, res) => {
          // More than ten listeners would be a warning, which fails the test.
          for (let n = 0; n < 15; n++) await pipeChild(res, sh(`echo ${n}`), { end: false })
          res.end()
        },
      )
      const reply = await ask({ headers: { 'accept-encoding': 'gzip' } })
      expect(reply.headers['content-encoding']).to.equal('gzip')
      const decoded = (await text(reply.body.pipe(createGunzip()))).trim().split('\n')
      expect(decoded).to.deep.equal(Array.from({ length: 15 }, (_, n) => String(n)))
    })

    it('sends the last exit as a trailer', async () => {
      const { ask } = await front.serve(async (req, res) => {
        await pipedCleanly(req, res, sh('echo one; exit 1'), { end: false, exit: 'trailer' })
        await pipedCleanly(req, res, sh('echo two; exit 2'), { exit: 'trailer' })
      })
      const reply = await ask()
      expect(await reply.ended()).to.equal('one\ntwo\n')
      expect(reply.trailers()).to.include({ 'exit-code': '2' })
    })

    it('sends no exit code of an earlier one beside the signal of the last, and keeps other trailers', async () => {
      const { ask } = await front.serve(async (req, res) => {
        res.addTrailers({ Digest: 'one' })
        await pipedCleanly(req, res, sh('echo one; exit 1'), { end: false, exit: 'trailer' })
        await pipedCleanly(req, res, sh('echo two; kill -KILL $$'), { exit: 'trailer' })
      })
      const reply = await ask()
      expect(await reply.ended()).to.equal('one\ntwo\n')
      expect(reply.trailers()).to.include({ digest: 'one', 'exit-signal': 'SIGKILL' })
      expect(reply.trailers()).not.to.have.property('exit-code')
    })

    it('rejects if an earlier one has ended the response, names the option, and ends the child', async () => {
      const found = deferred<Error>()
      const second = sh('sleep 60 & wait')
      const { ask } = await front.serve(async (req, res) => {
        await pipedCleanly(req, res, sh('echo one'))
        found.resolve(await failure(pipeChild(res, second)))
      })
      expect(await (await ask()).ended()).to.equal('one\n')
      const error = await found.promise
      expect(error).to.be.instanceOf(TypeError)
      expect(error.message).to.include(
        'an earlier pipeChild has ended this response; the option "end: false"',
      )
      await nothingLeft(second)
    })

    it('rejects while another is at work, and lets that go on', async () => {
      const found = deferred<Error>()
      const second = sh('sleep 60 & wait')
      const { ask } = await front.serve((req, res) => {
        const first = spawn('cat', { detached: true })
        void pipedCleanly(req, res, first, { end: false }).then(() => res.end('end\n'))
        const rejected = failure(pipeChild(res, second))
        void rejected.then(found.resolve)
        void rejected.then(() => first.stdin.end('one\n'))
      })
      expect(await (await ask()).ended()).to.equal('one\nend\n')
      const error = await found.promise
      expect(error).to.be.instanceOf(TypeError)
      expect(error.message).to.include('another child is being piped').and.include('"end: false"')
      await nothingLeft(second)
    })

    it('takes another command if the first could not be started', async () => {
      const { ask } = await front.serve(async (_req, res) => {
        expect(await failure(pipeChild(res, spawn('no-such-command')))).to.include({ code: 'ENOENT' })
        await pipeChild(res, sh('echo second'))
      })
      expect(await (await ask()).ended()).to.equal('second\n')
    })

    it('takes another command if a later one could not be started', async () => {
      const { ask } = await front.serve(async (_req, res) => {
        await pipeChild(res, sh('echo first'), { end: false })
        expect(await failure(pipeChild(res, spawn('no-such-command')))).to.include({ code: 'ENOENT' })
        await pipeChild(res, sh('echo third'))
      })
      expect(await (await ask()).ended()).to.equal('first\nthird\n')
    })

    it('ends a command that is started for a client that has left during the first', async () => {
      const found = deferred<unknown>()
      const { ask } = await front.serve(async (req, res) => {
        const first = await pipedCleanly(req, res, sh('echo ready; sleep 60 & wait'), { end: false })
        const second = await pipedCleanly(req, res, sh('sleep 60 & wait'), { end: false })
        found.resolve([first, second])
      })
      const reply = await ask()
      await reply.received('ready')
      reply.leave()
      const signalled = { exit: { code: null, signal: 'SIGTERM' } }
      expect(await found.promise).to.deep.equal([signalled, signalled])
    })

    it('holds the next command back, too, while the client does not read', async () => {
      const blocked = deferred()
      const { ask } = await front.serve(async (req, res) => {
        await pipedCleanly(req, res, sh('echo one'), { end: false })
        const torrent = sh('head -c 20000000 /dev/zero')
        torrent.stdout!.on('pause', () => blocked.resolve())
        await pipedCleanly(req, res, torrent)
      })
      const reply = await ask()
      await blocked.promise
      expect(await reply.ended()).to.have.length(20_000_004)
    })
  })
}
