import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { PassThrough, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { expect } from 'chai'
import rawBody from 'raw-body'
import { bodyCache } from 'sluiceway/body-cache'
import { hosts } from '../support/hosts.js'
import { Mishaps } from '../support/mishaps.js'
import { asChunk, lastChunk, RawClient } from '../support/raw-client.js'
import { closeServers, serve } from '../support/servers.js'

/** Ways to stop in the middle of a body, and what the reader hears of it. */
const stops: readonly (readonly [string, (req: IncomingMessage) => Promise<string>])[] = [
  ["break out of 'for await'", breakOut],
  ['throw out of it', throwOut],
  ['a pipeline whose disk is full', fillDisk],
  ['unpipe()', takeAChunkAndUnpipe],
  ['a listener that leaves and pause()s', takeAChunkAndPause],
  ['a destination that is destroyed', destroyDestination],
  ["a parser's limit", async (req) => rawBody(req, { limit: 1 }).then(String, reasonOf)],
  ['destroying a stream of req.bodyCache', destroyStream],
]

const reasonOf = (error: Error): string => error.message

async function breakOut(req: IncomingMessage): Promise<string> {
  for await (const chunk of req) return String(chunk)
  return 'nothing'
}

function throwOut(req: IncomingMessage): Promise<string> {
  const read = async (): Promise<string> => {
    for await (const chunk of req) throw new Error(`no ${String(chunk)}`)
    return 'nothing'
  }
  return read().catch(reasonOf)
}

async function fillDisk(req: IncomingMessage): Promise<string> {
  const disk = new Writable({ write: (_chunk, _encoding, done) => done(new Error('disk full')) })
  return pipeline(req, disk).then(() => 'written', reasonOf)
}

async function takeAChunkAndUnpipe(req: IncomingMessage): Promise<string> {
  const destination = req.pipe(new PassThrough())
  const [chunk] = (await once(destination, 'data')) as [Buffer]
  req.unpipe(destination)
  return String(chunk)
}

async function takeAChunkAndPause(req: IncomingMessage): Promise<string> {
  const [chunk] = (await once(req, 'data')) as [Buffer]
  req.pause()
  return String(chunk)
}

async function destroyDestination(req: IncomingMessage): Promise<string> {
  const destination = req.pipe(new PassThrough())
  const [chunk] = (await once(destination, 'data')) as [Buffer]
  destination.destroy()
  await once(destination, 'close')
  return String(chunk)
}

async function destroyStream(req: IncomingMessage): Promise<string> {
  const stream = req.bodyCache.stream()
  const [chunk] = (await once(stream, 'data')) as [Buffer]
  stream.destroy()
  return String(chunk)
}

const heard: Readonly<Record<string, string>> = {
  'throw out of it': 'no first ',
  'a pipeline whose disk is full': 'disk full',
  "a parser's limit": 'request entity too large',
}

for (const { name, mount } of hosts) {
  describe(`bodyCache on ${name}, with a reader that stops half way`, () => {
    const mishaps = new Mishaps()
    beforeEach(() => mishaps.watch())
    afterEach(closeServers)

    for (const [how, stop] of stops) {
      it(`gives the next all of it, and the client its answer, after ${how}`, async () => {
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
            [(heard[how] ?? 'first ').trim()],
            'first second|first second',
          ])
        }
        expect(connections).to.have.length(1)
        client.destroy()
        expect(await mishaps.end()).to.deep.equal([])
      })
    }

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
      expect(await mishaps.end()).to.deep.equal([])
    })
  })
}
