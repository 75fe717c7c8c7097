import type { ServerResponse } from 'node:http'
import { expect } from 'chai'
import { autoFlush, pipeChild } from 'sluiceway'
import { closeServers } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { fronts } from './fronts.js'
import { sh } from './piped.js'

type Head = (res: ServerResponse) => unknown

const TYPE = 'text/event-stream'

const heads: Record<string, Head> = {
  'an object': (res) => res.writeHead(200, { 'Content-Type': TYPE }),
  'a reason and an object': (res) => res.writeHead(200, 'Fine', { 'content-type': TYPE }),
  'a list': (res) => res.writeHead(200, ['Content-Type', TYPE]),
  'an object with other lines': (res) =>
    res.writeHead(200, { 'Cache-Control': 'no-cache', 'Content-Type': TYPE }),
  'an object, sent at once': (res) => res.writeHead(200, { 'Content-Type': TYPE }).flushHeaders(),
}

for (const front of fronts) {
  describe(`pipeChild behind a head that is written, on ${front.name}`, () => {
    afterEach(closeServers)

    for (const [how, writeHead] of Object.entries(heads)) {
      // HTTP/2 has no reasons.
      if (front.isHttp2 && how.includes('reason')) continue
      for (const [middleware, before] of [
        ['', []],
        [', behind autoFlush', [autoFlush()]],
      ] as const) {
        it(`sends events for text/event-stream from ${how}${middleware}`, async () => {
          const { ask } = await front.serve(...before, (_req, res) => {
            res.removeHeader('X-Powered-By')
            writeHead(res)
            void pipeChild(res, sh('echo a'))
          })
          const text = await (await ask()).ended()
          expect(text).to.equal('data: a\n\nevent: exit\ndata: {"code":0,"signal":null}\n\n')
        })
      }
    }

    it('sends the head of a silent child', async () => {
      const { ask } = await front.serve((_req, res) => {
        res.writeHead(200, { 'Content-Type': TYPE })
        void pipeChild(res, sh('sleep 60 & wait'))
      })
      const reply = await ask()
      expect(reply.status).to.equal(200)
      reply.leave()
    })

    it('sends the output as it is behind a head without Content-Type', async () => {
      const { ask } = await front.serve((_req, res) => {
        res.removeHeader('X-Powered-By')
        res.writeHead(200, { 'Cache-Control': 'no-cache' })
        void pipeChild(res, sh('echo a'))
      })
      expect(await (await ask()).ended()).to.equal('a\n')
    })

    it('keeps the trailers of the handler, and announces its own beside them', async () => {
      const { ask } = await front.serve((_req, res) => {
        res.setHeader('Trailer', 'Digest')
        res.addTrailers({ Digest: 'one: two' })
        void pipeChild(res, sh('echo a; exit 3'), { exit: 'trailer' })
      })
      const reply = await ask()
      await reply.ended()
      expect(reply.headers['trailer']).to.equal('Digest, Exit-Code, Exit-Signal')
      expect(reply.trailers()).to.include({ digest: 'one: two', 'exit-code': '3' })
    })

    if (front.isHttp2) return
    for (const [what, length] of [
      ['less', 2],
      ['more', 20],
    ] as const) {
      it(`rejects if a strict Content-Length announces ${what} than the child writes`, async () => {
        const failure = deferred<unknown>()
        const { ask } = await front.serve((_req, res) => {
          res.strictContentLength = true
          res.setHeader('Content-Length', length)
          pipeChild(res, sh('echo abc')).then(failure.resolve, failure.resolve)
        })
        const text = ask().then((reply) => reply.ended())
        expect(await text.catch(() => 'cut')).to.equal('cut')
        expect(await failure.promise).to.include({ code: 'ERR_HTTP_CONTENT_LENGTH_MISMATCH' })
      })
    }
  })
}
