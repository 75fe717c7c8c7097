import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import http2 from 'node:http2'
import { expect } from 'chai'
import compression from 'compression'
import type { Handler } from '../support/express/hosts.js'
import { closeServers } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { until } from '../support/time/until.js'
import { fronts, type Reply } from './fronts.js'
import { type Outcome, pipedCleanly } from './left-behind.js'
import { sh } from './piped.js'
import { type Arranged, arrange, CHATTY, ended, type Situation, type Step } from './situations.js'

for (const front of fronts) {
  describe(`pipeChild on ${front.name}`, () => {
    afterEach(closeServers)

    describe('when the handler ends the response', () => {
      const endIt: Step = (_child, res) => res.end('time limit\n')
      const moments: Record<string, Situation> = {
        'before the call': { before: endIt },
        'with the call, before the child has said anything': {
          start: () => sh('sleep 60 & wait'),
          during: endIt,
        },
        'while the child is silent': {
          during: ({ stdout }, res) => once(stdout!, 'data').then(() => res.end()),
        },
        'while the child writes': {
          start: () => sh(CHATTY),
          during: ({ stdout }, res) => once(stdout!, 'data').then(() => res.end()),
        },
        'by an error': { during: ({ stdout }, res) => once(stdout!, 'data').then(() => res.destroy()) },
        'by an error before the call': { before: (_child, res) => void res.destroy() },
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
          before: (_child, res) => void res.end(Buffer.alloc(16 * 1024 * 1024)),
        })
        const reply = await ask()
        expect((await outcome).exit).to.deep.equal(ended.exit)
        expect(reply.body.destroyed).to.equal(false)
        reply.leave()
      })

      it('and the client does not read: ends the blocked child while the client stays', async () => {
        const { ask, outcome } = await arrange(front, {
          start: () => sh(CHATTY),
          during: ({ stdout }, res) => until(() => stdout!.isPaused()).then(() => res.end()),
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
        const closed: Step = ({ stdout }, res, req) => {
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
          during: ({ stdout }) => until(() => stdout!.isPaused()).then(() => blocked.resolve()),
        })
        const reply = await ask()
        await blocked.promise
        reply.leave()
        expect(await outcome).to.deep.equal(ended)
      })
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
