import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import http2 from 'node:http2'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { finished } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { bodyCache } from 'sluiceway/body-cache'
import { asChunk, lastChunk, RawClient } from '../../support/clients/raw-client.js'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { closeServers, listen, serve } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'
import { turns } from '../../support/time/turns.js'
import { exchange, postOverHttp2 } from '../exchange.js'

const LENGTH = 2_000_000

/** Reads with a listener for one 'readable' at a time, added again for each. */
async function readAnew(req: IncomingMessage): Promise<string> {
  let sofar = ''
  const take = (): void => {
    for (let chunk = req.read() as Buffer | null; chunk !== null; chunk = req.read() as Buffer | null) {
      sofar += String(chunk)
    }
    if (sofar.length < 1000) req.once('readable', take)
  }
  req.once('readable', take)
  await once(req, 'end')
  return sofar
}

/** Takes the first bytes, and pipes the others in the same turn. */
function readHeadAndPipe(req: IncomingMessage): Promise<string> {
  return new Promise((resolve) => {
    req.once('readable', () => {
      const head = String(req.read(4))
      void text(req.pipe(new PassThrough())).then((rest) => resolve(head + rest))
    })
  })
}

/** Takes a few bytes at a time, and works on them before it asks for more. */
function readSlowly(req: IncomingMessage): Promise<string> {
  let sofar = ''
  const step = async (): Promise<void> => {
    for (let chunk = takeFew(req); chunk !== null; chunk = takeFew(req)) {
      sofar += String(chunk)
      await sleep(1)
    }
    req.once('readable', () => void step())
  }
  req.once('readable', () => void step())
  return finished(req).then(() => sofar)
}

function takeFew(req: IncomingMessage): Buffer | null {
  return (req.read(4000) ?? req.read()) as Buffer | null
}

async function readInTurns(req: IncomingMessage): Promise<number> {
  let length = 0
  for await (const chunk of req as AsyncIterable<Buffer>) {
    length += chunk.length
    await sleep(10)
  }
  return length
}

/** Reads by other code, which is done while the slow reader works on what it has, or before it. */
const otherReaders: Readonly<Record<string, (req: IncomingMessage) => Promise<unknown>>> = {
  'req.bodyCache.buffer()': (req) => req.bodyCache.buffer(),
  'a listener for data, which it overtakes': (req) =>
    once(
      req.on('data', () => {}),
      'data',
    ),
  'a loop, before it': (req) => text(req),
  'a listener for data, before it': (req) =>
    once(
      req.on('data', () => {}),
      'end',
    ),
}

const transports = { 'HTTP/1.1': post, 'HTTP/2': postOverHttp2 }

async function post(handler: Handler, body: string): Promise<string> {
  const { url } = await serve(hosts[0]!.mount(bodyCache(), handler))
  return (await fetch(url, { method: 'POST', body })).text()
}

/** Reads the rest after the answer, while the request has a listener only for moments. */
async function readOn(req: IncomingMessage, res: ServerResponse): Promise<number> {
  await once(req, 'readable')
  let received = (req.read() as Buffer).length
  res.end('accepted')
  await turns(20)
  while (received < LENGTH) {
    await turns(1)
    await once(req, 'readable')
    for (let chunk = req.read() as Buffer | null; chunk !== null; chunk = req.read() as Buffer | null)
      received += chunk.length
  }
  return received
}

describe("bodyCache, with a reader that listens for one 'readable' at a time", () => {
  afterEach(closeServers)

  for (const [name, read] of Object.entries({ readAnew, readHeadAndPipe })) {
    for (const memory of ['1mb', 0]) {
      it(`gives it the body once, whichever reading it is: ${name}, with ${memory} of memory`, async () => {
        const { client, req } = await exchange(undefined, { memory })
        client.write(asChunk('one '))
        const first = read(req)
        await once(req, 'readable')
        client.write(asChunk('two'), lastChunk)
        expect(await first).to.equal('one two')
        expect(await read(req)).to.equal('one two')
        expect(await text(req)).to.equal('one two')
        expect(await read(req)).to.equal('one two')
        client.destroy()
      })
    }
  }

  it('lets it go on beside one that is still reading, once another one has begun to flow', async () => {
    const { client, req } = await exchange()
    req.once('data', () => {})
    client.write(asChunk('one '))
    await once(req, 'data')
    const rest = readAnew(req)
    client.write(asChunk('two'), lastChunk)
    expect(await rest).to.equal('two')
    client.destroy()
  })

  it('gives it the rest of a large body after its answer', async () => {
    const reading = deferred<Promise<number>>()
    const { port } = await serve(
      hosts[0]!.mount(bodyCache(), (req, res) => reading.resolve(readOn(req, res))),
    )
    const client = await RawClient.connect(port)
    client.request('POST', '/', {}, Buffer.alloc(LENGTH).toString())
    expect(await reading.promise).to.equal(LENGTH)
    client.destroy()
  })

  it('gives it the rest of a large body after its answer over HTTP/2', async () => {
    const reading = deferred<Promise<number>>()
    const mounted = hosts[0]!.mount(bodyCache(), (req, res) => reading.resolve(readOn(req, res)))
    const { port } = await listen(http2.createServer(mounted as never) as never)
    const session = http2.connect(`http://127.0.0.1:${port}`)
    const stream = session.request({ ':method': 'POST' })
    stream.on('error', () => {}).resume()
    stream.end(Buffer.alloc(LENGTH))
    expect(await reading.promise).to.equal(LENGTH)
    session.destroy()
  })

  for (const [transport, send] of Object.entries(transports)) {
    for (const [other, read] of Object.entries(otherReaders)) {
      it(`tells it of no end while it works on what it has, beside ${other}, over ${transport}`, async () => {
        const handler: Handler = async (req, res) => {
          const reading = read(req)
          if (!other.startsWith('req')) await reading
          res.end(String((await readSlowly(req)).length))
        }
        expect(await send(handler, 'a'.repeat(100_000))).to.equal('100000')
      })
    }

    it(`tells it of no end beside a loop that begins while it works on what it has, over ${transport}`, async () => {
      const handler: Handler = async (req, res) => {
        const reading = readSlowly(req)
        await once(req, 'readable')
        const loop = readInTurns(req)
        res.end(`${(await reading).length} ${await loop}`)
      }
      expect(await send(handler, 'a'.repeat(100_000))).to.equal('100000 100000')
    })

    it(`takes one that has only looked at the first bytes for done once a loop begins, over ${transport}`, async () => {
      const handler: Handler = async (req, res) => {
        await once(req, 'readable')
        req.read()
        const whole = await text(req)
        await finished(req)
        res.end(String(whole.length))
      }
      expect(await send(handler, 'a'.repeat(100_000))).to.equal('100000')
    })
  }
})
