import { spawn } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { PassThrough, Readable } from 'node:stream'
import { expect } from 'chai'
import { bodyCache, maxBytes, pipeChild } from 'sluiceway'
import type { Handler } from '../support/express/hosts.js'
import { closeServers } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { until } from '../support/time/until.js'
import { filtered } from './filtered.js'
import { fronts } from './fronts.js'
import type { Outcome } from './left-behind.js'
import { membersOf, sh } from './piped.js'

const exited = (code: number): Outcome => ({ exit: { code, signal: null } })

for (const front of fronts) {
  describe(`the option stdin of pipeChild on ${front.name}`, () => {
    afterEach(closeServers)

    it('pipes a body through the child and back, chunk by chunk', async () => {
      const { ask, outcome } = await filtered(front, () => spawn('cat', { detached: true }))
      const reply = await ask()
      for (const word of ['one', 'two', 'three']) {
        reply.upload.write(`${word}\n`)
        await reply.received(`${word}\n`)
      }
      reply.upload.end()
      expect(await reply.ended()).to.equal('one\ntwo\nthree\n')
      expect(await outcome).to.deep.equal(exited(0))
    })

    it('ends the input of the child at the end of the body', async () => {
      const { ask } = await filtered(front, () => spawn('sort', { detached: true }))
      const reply = await ask()
      reply.upload.end('b\nc\na\n')
      expect(await reply.ended()).to.equal('a\nb\nc\n')
    })

    it('takes a request without a body for an empty input', async () => {
      const { outcome, ask } = await filtered(front, () => spawn('cat', { detached: true }))
      const reply = await ask()
      reply.upload.end()
      expect(await reply.ended()).to.equal('')
      expect(await outcome).to.deep.equal(exited(0))
    })

    it('makes the client wait for a child that does not read', async () => {
      const { ask, child } = await filtered(front, () => sh('read line; cat >/dev/null; echo all'))
      const reply = await ask()
      const piece = Buffer.alloc(1_000_000)
      let sent = 0
      while (sent < 200 && reply.upload.write(piece)) sent++
      const { stdin } = await child
      await until(() => stdin!.writableNeedDrain)
      // What a pipe and some buffers hold, and not all that the client would send.
      expect(stdin!.writableLength).to.be.below(200_000)
      reply.upload.end('\n')
      expect(await reply.ended()).to.equal('all\n')
    })

    it('discards the rest for a filter that stops reading, and sends its output', async () => {
      const { ask, outcome } = await filtered(front, () => spawn('head', ['-n', '1'], { detached: true }))
      const reply = await ask()
      reply.upload.write(`first\n${'x'.repeat(10_000_000)}`)
      reply.upload.end()
      expect(await reply.ended()).to.equal('first\n')
      expect(await outcome).to.deep.equal(exited(0))
    })

    it('discards the rest for a child that closes its stdin and lives on', async () => {
      const { ask, outcome } = await filtered(front, () =>
        sh('exec <&-; sleep 0.2; head -c 3000000 /dev/zero; exit 3'),
      )
      const reply = await ask()
      // A client that sends its whole body before it reads.
      await new Promise<void>((resolve) => void reply.upload.end(Buffer.alloc(20_000_000), () => resolve()))
      expect(await reply.ended()).to.have.length(3_000_000)
      expect(await outcome).to.deep.equal(exited(3))
    })

    it('ends the group when the client leaves in the middle of its body', async () => {
      const { ask, outcome, child } = await filtered(front, () => sh('sleep 60 & cat'))
      const reply = await ask()
      reply.upload.write('half')
      await reply.received('half')
      reply.leave()
      expect(await outcome).to.deep.equal({ exit: { code: null, signal: 'SIGTERM' } })
      expect(membersOf((await child).pid!)).to.deep.equal([])
    })

    it('reads nothing if the child could not be started', async () => {
      const { ask, outcome } = await filtered(front, () => spawn('no-such-command'))
      expect((await ask('body')).status).to.equal(500)
      expect((await outcome).error).to.include({ code: 'ENOENT' })
    })

    describe('with maxBytes in front', () => {
      for (const [name, before] of Object.entries({
        maxBytes: [maxBytes('100kb')],
        'maxBytes and bodyCache': [maxBytes('100kb'), bodyCache()],
      })) {
        it(`${name}: a body that exceeds the limit on its way ends the child, and cuts the response`, async () => {
          const { ask, outcome, child } = await filtered(front, () => sh('sleep 60 & cat'), {}, before)
          const reply = await ask()
          reply.upload.write('half')
          await reply.received('half')
          reply.upload.write(Buffer.alloc(200_000))
          expect(await reply.ended().catch(() => 'cut')).to.equal('cut')
          const { error } = await outcome
          expect(error).to.include({ code: 'ERR_SLUICEWAY_BODY_TOO_LARGE' })
          expect(membersOf((await child).pid!)).to.deep.equal([])
        })

        it(`${name}: a body within the limit passes`, async () => {
          const { ask } = await filtered(front, () => spawn('cat', { detached: true }), {}, before)
          const reply = await ask()
          reply.upload.end('x'.repeat(50_000))
          expect(await reply.ended()).to.have.length(50_000)
        })

        it(`${name}: a client that leaves is not a failure`, async () => {
          const { ask, outcome } = await filtered(front, () => sh('sleep 60 & cat'), {}, before)
          const reply = await ask()
          reply.upload.write('half')
          await reply.received('half')
          reply.leave()
          expect(await outcome).to.deep.equal({ exit: { code: null, signal: 'SIGTERM' } })
        })
      }
    })

    it('takes a body that bodyCache keeps, and that others have read', async () => {
      const read: Handler = async (req, _res, next) => {
        for await (const _ of req);
        next()
      }
      const { ask } = await filtered(front, () => spawn('cat', { detached: true }), {}, [bodyCache(), read])
      expect(await (await ask('read it again')).ended()).to.equal('read it again')
    })

    it('pipes another stream in, and ends with it', async () => {
      const { ask } = await filtered(front, () => spawn('sort', { detached: true }), {
        stdin: Readable.from(['b\n', 'a\n']),
      })
      const reply = await ask()
      expect(await reply.ended()).to.equal('a\nb\n')
    })

    it('destroys another stream that the child no longer reads', async () => {
      const file = createReadStream('/dev/zero')
      const { ask, outcome } = await filtered(front, () => spawn('head', ['-c', '3'], { detached: true }), {
        stdin: file,
      })
      expect(await (await ask()).ended()).to.equal('\0\0\0')
      expect(await outcome).to.deep.equal(exited(0))
      expect(file.destroyed).to.equal(true)
    })

    it('destroys it even if that fails', async () => {
      const file = new Readable({
        read() {
          this.push('line\n')
        },
        destroy: (_error, done) => done(new Error('not closed')),
      })
      const { ask, outcome } = await filtered(front, () => spawn('head', ['-n', '1'], { detached: true }), {
        stdin: file,
      })
      expect(await (await ask()).ended()).to.equal('line\n')
      expect(await outcome).to.deep.equal(exited(0))
    })

    for (const [how, fail] of [
      ['fails', (stream: PassThrough) => void stream.destroy(new Error('source'))],
      ['is cut', (stream: PassThrough) => void stream.destroy()],
    ] as const) {
      it(`ends the child and cuts the response if another stream ${how}`, async () => {
        const source = new PassThrough()
        const { ask, outcome } = await filtered(front, () => sh('sleep 60 & cat'), { stdin: source })
        source.write('half')
        const reply = await ask()
        await reply.received('half')
        fail(source)
        expect(await reply.ended().catch(() => 'cut')).to.equal('cut')
        expect((await outcome).error?.message).to.match(/^source$|Premature close/)
      })
    }

    it('does not let an EPIPE end the process if the application pipes by itself', async () => {
      const outcome = deferred<unknown>()
      const { ask } = await front.serve((req, res) => {
        const child = spawn('head', ['-n', '1'], { detached: true })
        const piped = pipeChild(res, child)
        req.pipe(child.stdin)
        child.stdin.once('close', () => req.resume())
        void piped.then(outcome.resolve, outcome.resolve)
      })
      const reply = await ask({ method: 'POST', body: 'open' })
      reply.upload.end(`first\n${'x'.repeat(3_000_000)}`)
      expect(await reply.ended()).to.equal('first\n')
      expect(await outcome.promise).to.deep.equal({ code: 0, signal: null })
    })
  })
}
