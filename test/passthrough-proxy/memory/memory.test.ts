import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { get, request, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createGzip } from 'node:zlib'
import { expect } from 'chai'
import { closeServers, serve } from '../../support/servers/servers.js'
import { isThorough } from '../../support/thorough.js'
import type { MemoryQuestion } from './memory-proxy.js'

const MB = 1024 * 1024
/** `SLUICEWAY_THOROUGH=1` makes it a whole gigabyte, as design.md says; the difference is only time. */
function lengthOf(way: string): number {
  if (isThorough) return 1024 * MB
  // A changed body takes three to eight times as long. It is still more than any bound below.
  return (/changed|decoded/.test(way) ? 96 : 256) * MB
}

/**
 * An answer is read into a buffer that is reused, and the chunks of an upload are freed once they are sent. A changed
 * body is garbage, of which V8 collects the old chunks when 32 MB (Node 24: some 70) have piled up. So there are two
 * figures: the held memory, which is left after a garbage collection; and the memory that a running server, which has its
 * garbage already, adds for a large body.
 */
const BOUNDS: Readonly<Record<string, number>> = {
  download: 16 * MB,
  // Measured over a gigabyte: 1 to 5 MB down, 1 to 37 MB up.
  'changed download': 64 * MB,
  'changed upload': 64 * MB,
  // 1000 times as large as it came.
  'decoded download': 64 * MB,
  upload: 16 * MB,
}
/** A few reads' worth for each of the two sockets; measured: 1 MB. */
const HELD = 8 * MB

async function sendBody(to: Writable, length: number): Promise<void> {
  const chunk = Buffer.alloc(64 * 1024, 7)
  for (let sent = 0; sent < length; sent += chunk.length) {
    if (!to.write(chunk)) await once(to, 'drain')
  }
  to.end()
}

/** Sends zeros in gzip: each chunk becomes a thousand times as much. */
async function sendPacked(res: ServerResponse, length: number): Promise<void> {
  const gzip = createGzip()
  gzip.pipe(res.setHeader('Content-Encoding', 'gzip'))
  await sendBody(gzip, length)
}

/** Pauses after the first MB, so long that all of it could come, and then for a little while every 4 MB. */
async function readSlowly(body: IncomingMessage): Promise<number> {
  let received = 0
  let rests = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    received += chunk.length
    if (received < (rests * 4 + 1) * MB) continue
    await delay(rests === 0 ? 300 : 5)
    rests += 1
  }
  return received
}

async function download(port: number, length: number, mount = ''): Promise<number> {
  const [response] = await once(get({ port, path: `${mount}/${length}`, agent: false }), 'response')
  return readSlowly(response)
}

async function upload(port: number, length: number, path = '/'): Promise<number> {
  const sending = request({ port, path, method: 'POST', agent: false })
  const answered = once(sending, 'response')
  await sendBody(sending, length)
  const [response] = await answered
  return Number(await text(response))
}

const ways: Record<string, (port: number, length: number) => Promise<number>> = {
  download,
  upload,
  'changed download': (port, length) => download(port, length, '/changed'),
  'decoded download': (port, length) => download(port, length, '/changed/gzip'),
  'changed upload': (port, length) => upload(port, length, '/changed/plain'),
}

/** The answer goes through the same transform, which is its own opposite. */
function answerOf({ url }: IncomingMessage, received: number): Buffer {
  const flip = url === '/plain' ? 1 : 0
  return Buffer.from(String(received)).map((byte) => byte ^ flip) as Buffer
}

describe('the memory of passthroughProxy', () => {
  let proxy: ChildProcess
  let port: number

  async function ask(question: MemoryQuestion): Promise<number> {
    const answered = once(proxy, 'message')
    proxy.send(question)
    return (await answered)[0]
  }

  beforeEach(async () => {
    const upstream = await serve((req, res) => {
      if (req.method === 'POST') void readSlowly(req).then((received) => res.end(answerOf(req, received)))
      else if (req.url?.startsWith('/gzip/') === true) void sendPacked(res, Number(req.url.slice(6)))
      else void sendBody(res.writeHead(200), Number(req.url?.slice(1)))
    })
    const file = fileURLToPath(new URL('memory-proxy.js', import.meta.url))
    proxy = fork(file, [upstream.url], { execArgv: ['--expose-gc'] })
    port = (await once(proxy, 'message'))[0]
  })
  afterEach(async () => {
    proxy.disconnect()
    await once(proxy, 'exit')
    await closeServers()
  })

  for (const [way, carry] of Object.entries(ways)) {
    const length = lengthOf(way)
    it(`hardly grows with a ${way}, and stays flat over ${length / MB} MB with a slow reader`, async function () {
      this.timeout(120_000)
      for (let n = 0; n < 20; n++) await carry(port, 1)

      const idle = await ask('held')
      expect(await carry(port, length / 4)).to.equal(length / 4)
      expect((await ask('peak')) - idle).to.be.below(HELD)

      await ask('resident')
      await carry(port, Math.min(length / 2, 128 * MB))
      const warm = await ask('peak')
      expect(await carry(port, length)).to.equal(length)
      expect((await ask('peak')) - warm).to.be.below(BOUNDS[way]!)
    })
  }
})
