import type { IncomingMessage } from 'node:http'
import { Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { expect } from 'chai'
import rawBody from 'raw-body'
import { bodyCache } from 'sluiceway/body-cache'
import { asChunk, lastChunk, RawClient } from '../../support/clients/raw-client.js'
import { hosts } from '../../support/express/hosts.js'
import { wrapListeners } from '../../support/express/wrapped-listeners.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { turns } from '../../support/time/turns.js'
import { fillDisk, stops } from './stops.js'

const firstHeard: Readonly<Record<string, string>> = {
  'throw out of it': 'no first ',
  'a pipeline whose disk is full': 'disk full',
  "a parser's limit": 'request entity too large',
}

for (const { name, mount } of hosts) {
  describe(`bodyCache on ${name}, with a reader that stops halfway`, () => {
    afterEach(closeServers)

    for (const [how, stop] of stops) {
      it(`gives the next reader the whole body, and the client its answer, after ${how}`, async () => {
        const { port, connections } = await serve(
          mount(bodyCache(), async (req, res) => {
            const first = await stop(req)
            // The client sends the rest only when it has seen this.
            res.writeHead(507, { 'X-First': first }).flushHeaders()
            res.end(`${String(await rawBody(req))}|${await text(req)}`)
          }),
        )
        const client = await RawClient.connect(port)
        for (let turn = 0; turn < 2; turn++) {
          client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n', asChunk('first '))
          await client.until((bytes) => (bytes.includes('X-First') ? true : undefined))
          client.write(asChunk('second'), lastChunk)
          const { status, headers, body } = await client.response()
          expect([status, headers['x-first'], String(body)]).to.deep.equal([
            507,
            [(firstHeard[how] ?? 'first ').trim()],
            'first second|first second',
          ])
        }
        expect(connections).to.have.length(1)
        client.destroy()
      })
    }

    for (const [what, before] of [
      ['as without bodyCache', []],
      ['behind bodyCache', [bodyCache()]],
    ] as const) {
      it(`tells other listeners of the request that its reader has failed, ${what}`, async () => {
        const heard: string[] = []
        const { port } = await serve(
          mount(...before, async (req, res) => {
            req.on('error', (error) => heard.push(error.message)).on('close', () => heard.push('close'))
            await fillDisk(req)
            await new Promise(setImmediate)
            res.end(heard.join())
          }),
        )
        const client = await RawClient.connect(port)
        client.request('POST', '/', {}, ['ab', 'cd'])
        expect(String((await client.response()).body)).to.equal('disk full,close')
        client.destroy()
      })
    }

    it('gives the next reader the whole body after bytes for the last one have come from the file', async () => {
      const sent = Buffer.from(Array.from({ length: 600_000 }, (_, i) => i % 251))
      const { port } = await serve(
        mount(bodyCache({ memory: 200_000 }), async (req, res) => {
          await req.bodyCache.buffer()
          // It leaves while the file is being read for it.
          let had = 0
          await new Promise<void>((resolve) => {
            req.on('data', (chunk: Buffer) => {
              had += chunk.length
              if (had >= 200_000) resolve()
            })
          })
          req.removeAllListeners('data')
          req.pause()
          await req.bodyCache.buffer()
          res.end(await rawBody(req))
        }),
      )
      const client = await RawClient.connect(port)
      client.request('POST', '/', {}, sent)
      expect((await client.response()).body.equals(sent)).to.equal(true)
      client.destroy()
    })

    for (const [who, setUp] of [
      ['one that reads the body again', (req: IncomingMessage) => rawBody(req)],
      ['a client that takes the socket away', (req: IncomingMessage) => Object.assign(req, { socket: null })],
    ] as const) {
      it(`gives the next listener the whole body if the request is destroyed at a chunk, by ${who}`, async () => {
        const sent = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i % 251))
        const { port } = await serve(
          mount(bodyCache({ memory: 200_000 }), async (req, res) => {
            await req.bodyCache.buffer()
            await setUp(req)
            await new Promise((resolve) => req.once('data', () => resolve(req.destroy())))
            await turns(3)
            res.end(await rawBody(req))
          }),
        )
        const client = await RawClient.connect(port)
        client.request('POST', '/', {}, sent)
        expect((await client.response()).body.equals(sent)).to.equal(true)
        client.destroy()
      })
    }

    for (const isTraced of [false, true]) {
      it(`gives each reader the whole body though one removes all listeners${isTraced ? ', behind a tracer' : ''}`, async () => {
        const { url } = await serve(
          mount(bodyCache(), async (req, res) => {
            if (isTraced) wrapListeners(req)
            const had = [String(await rawBody(req))]
            req.removeAllListeners()
            for (let round = 0; round < 2; round++) had.push(String(await rawBody(req)))
            // As milliparsec does past its limit: nobody reads on.
            await new Promise<void>((resolve) =>
              req.once('data', () => resolve(void req.removeAllListeners())),
            )
            await turns(3)
            for (let round = 0; round < 2; round++) had.push(String(await rawBody(req)))
            res.end(had.join())
          }),
        )
        const answer = await fetch(url, { method: 'POST', body: 'abc' })
        expect(await answer.text()).to.equal('abc,abc,abc,abc,abc')
      })
    }

    it('lets an abandoned destination drain without waking a later reader', async () => {
      const { port } = await serve(
        mount(bodyCache(), async (req, res) => {
          const drain = await fillBesideFailure(req)
          await new Promise((resolve) => {
            req.on('data', () => resolve(req.pause()))
          })
          drain()
          await new Promise(setImmediate)
          res.end(req.isPaused() ? 'still paused' : 'woken')
        }),
      )
      const client = await RawClient.connect(port)
      client.request('POST', '/', {}, 'body')
      expect(String((await client.response()).body)).to.equal('still paused')
      client.destroy()
    })

    it('serves two parsers that were started at once on req', async () => {
      const { port } = await serve(
        mount(bodyCache(), (req, res, next) => {
          Promise.all([rawBody(req), rawBody(req), text(req)]).then((found) => res.end(found.join('|')), next)
        }),
      )
      const client = await RawClient.connect(port)
      client.request('POST', '/', {}, ['ab', 'cd'])
      expect(String((await client.response()).body)).to.equal('abcd|abcd|abcd')
      client.destroy()
    })
  })
}

/** Pipes into a destination that is full after the first chunk, next to one that fails. Returns a function that lets it drain. */
async function fillBesideFailure(req: IncomingMessage): Promise<() => void> {
  const full = new Promise<() => void>((resolve) => {
    req.pipe(new Writable({ highWaterMark: 1, write: (_chunk, _encoding, done) => resolve(done) }))
  })
  const disk = new Writable({ write: (_chunk, _encoding, done) => done(new Error('disk full')) })
  await pipeline(req, disk).catch(() => {})
  return await full
}
