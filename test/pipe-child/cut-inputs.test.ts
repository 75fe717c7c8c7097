import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import http2 from 'node:http2'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Readable } from 'node:stream'
import { expect } from 'chai'
import { bodyCache, type ChildExit, maxBytes, pipeChild } from 'sluiceway'
import { type FrameClient, frameClient } from '../support/clients/http2-frames.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { closeServers, listen } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { turns } from '../support/time/turns.js'
import { fronts } from './fronts.js'
import { sh } from './piped.js'

const { NGHTTP2_CANCEL: CANCEL, NGHTTP2_NO_ERROR: NO_ERROR } = http2.constants

const cuts: Record<string, (client: FrameClient) => void> = {
  'resets its stream': ({ reset }) => reset(CANCEL),
  'resets its stream without an error': ({ reset }) => reset(NO_ERROR),
  "closes its stream as Node's client does, which ends the body first": ({ stream }) => stream.close(CANCEL),
  'destroys its session': ({ session }) => session.destroy(),
}

describe('pipeChild with a body over HTTP/2 that its client cuts', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'cut-inputs-'))
  })
  afterEach(() => rm(folder, { recursive: true }))
  afterEach(closeServers)

  for (const [how, cut] of Object.entries(cuts)) {
    for (const [name, before] of [
      ['', []],
      [', behind maxBytes', [maxBytes('1mb')]],
      [', behind bodyCache', [bodyCache()]],
    ] as readonly (readonly [string, Handler[]])[]) {
      for (const headers of [{}, { 'content-length': 1000 }]) {
        const length = 'content-length' in headers ? ' with a length' : ''
        it(`${how} before the call: the child is ended${length}${name}`, async () => {
          const begun = deferred()
          const exit = deferred<unknown>()
          const run: Handler = async (req, res) => {
            begun.resolve()
            await once(req, 'aborted')
            await turns(5)
            pipeChild(res, sh('cat'), { stdin: req }).then(exit.resolve, exit.resolve)
          }
          const { port } = await listen(http2.createServer(hosts[0]!.mount(...before, run) as never) as never)
          const client = await frameClient(port, headers)
          client.stream.write('half')
          await begun.promise
          cut(client)
          expect(await exit.promise).to.deep.equal({ code: null, signal: 'SIGTERM' })
          client.session.destroy()
        })

        it(`${how}: a child that ignores SIGTERM sees no end of it${length}${name}`, async () => {
          const whole = path.join(folder, 'whole')
          const exit = deferred<ChildExit>()
          const run: Handler = (req, res) => {
            const child = sh(`trap '' TERM; echo ready; cat; : > ${whole}`)
            pipeChild(res, child, { stdin: req, forceKillAfterMs: 100 }).then(exit.resolve, exit.resolve)
          }
          const { port } = await listen(http2.createServer(hosts[0]!.mount(...before, run) as never) as never)
          const client = await frameClient(port, headers)
          client.stream.write('half')
          await received(client, 'half')
          cut(client)
          expect(await exit.promise).to.deep.equal({ code: null, signal: 'SIGKILL' })
          expect(existsSync(whole)).to.equal(false)
          client.session.destroy()
        })
      }
    }
  }
})

for (const front of fronts) {
  describe(`pipeChild with an input that is not bytes, on ${front.name}`, () => {
    afterEach(closeServers)

    for (const value of [{ a: 1 }, 5, true]) {
      it(`rejects with a TypeError for ${JSON.stringify(value)}, and ends the child`, async () => {
        const failure = deferred<unknown>()
        const { ask } = await front.serve((_req, res) => {
          const stdin = Readable.from(['text', value])
          pipeChild(res, sh('cat'), { stdin }).then(failure.resolve, failure.resolve)
        })
        const text = ask().then((reply) => reply.ended())
        expect(await text.catch(() => 'cut')).to.equal('cut')
        expect(await failure.promise).to.be.instanceOf(TypeError)
        expect(String(await failure.promise)).to.include('option "stdin" holds objects, not bytes')
      })
    }

    it('passes the bytes of a stream with an encoding on unchanged', async () => {
      const { ask } = await front.serve((_req, res) => {
        const stdin = new Readable({ encoding: 'hex', read: () => {} })
        stdin.push(Buffer.from([0xff, 0x00]))
        stdin.push(null)
        void pipeChild(res, sh('od -An -tx1'), { stdin })
      })
      expect((await (await ask()).ended()).trim()).to.equal('ff 00')
    })
  })
}

async function received({ stream }: FrameClient, text: string): Promise<void> {
  let all = ''
  for (stream.on('data', (chunk) => (all += String(chunk))); !all.includes(text);) await once(stream, 'data')
}
