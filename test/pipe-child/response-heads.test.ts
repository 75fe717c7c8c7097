import type { ChildProcess } from 'node:child_process'
import type { ServerResponse } from 'node:http'
import { expect } from 'chai'
import { closeServers } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { fronts } from './fronts.js'
import { type Outcome, pipedCleanly } from './left-behind.js'
import { sh } from './piped.js'
import { asked } from './situations.js'

const exited = (code: number): Outcome => ({ exit: { code, signal: null } })

for (const front of fronts) {
  describe(`pipeChild on ${front.name}, the head of its response`, () => {
    afterEach(closeServers)

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
