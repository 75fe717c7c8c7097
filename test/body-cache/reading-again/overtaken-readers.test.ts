import { once } from 'node:events'
import { type FileHandle, open } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { PassThrough, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { setImmediate as immediate, setTimeout as later } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import rawBody from 'raw-body'
import { bodyCache } from 'sluiceway/body-cache'
import { asChunk, lastChunk, RawClient } from '../../support/clients/raw-client.js'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { turns } from '../../support/time/turns.js'
import { until } from '../../support/time/until.js'
import { exchange } from '../exchange.js'
import { countWithData } from '../reading.js'

const PART = Buffer.alloc(60_000, 97)
const PARTS = 8

/** Counts what it takes, one chunk at a time, and records the most that it had to hold. */
class SlowWritable extends Writable {
  taken = 0
  most = 0
  isSlow = true

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.taken += chunk.length
    this.most = Math.max(this.most, this.writableLength)
    if (this.isSlow) setTimeout(done, 5)
    else done()
  }
}

/** Ways of a reader that is slower than the one that overtakes it. Each returns the number of bytes that it got. */
const slowReaders: Readonly<Record<string, (req: IncomingMessage) => Promise<number>>> = {
  'a pipeline': async (req) => {
    const slow = new SlowWritable({ highWaterMark: 1 })
    await pipeline(req, slow)
    return slow.taken
  },
  'a pipeline with a transform': async (req) => {
    const slow = new SlowWritable({ highWaterMark: 1 })
    await pipeline(req, new PassThrough(), slow)
    return slow.taken
  },
  'a pipe whose destination is ended by the handler': async (req) => {
    const slow = new SlowWritable({ highWaterMark: 1 })
    req.once('end', () => slow.end())
    await once(req.pipe(slow, { end: false }), 'finish')
    return slow.taken
  },
}

const overtaking: Readonly<Record<string, (req: IncomingMessage) => Promise<number>>> = {
  'by a listener': countWithData,
  'by a pipe': async (req) => (await text(req.pipe(new PassThrough()))).length,
}

/** Delays the first read from `position` of any file: that of the reader which is ahead. Returns what undoes it. */
async function delayFirstRead(position: number): Promise<() => void> {
  const handle = await open(fileURLToPath(import.meta.url))
  const prototype = Object.getPrototypeOf(handle) as FileHandle
  await handle.close()
  // It is called with its handle as `this`.
  // oxlint-disable-next-line typescript/unbound-method
  const { read } = prototype
  let isFirst = true
  const delayed = async function (this: FileHandle, ...args: unknown[]): Promise<unknown> {
    if (args[3] === position && isFirst) {
      isFirst = false
      await later(100)
    }
    return Reflect.apply(read, this, args)
  }
  Object.assign(prototype, { read: delayed })
  return () => Object.assign(prototype, { read })
}

async function sendParts(port: number): Promise<RawClient> {
  const client = await RawClient.connect(port)
  client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
  for (let part = 0; part < PARTS; part++) {
    client.write(asChunk(PART))
    await later(2)
  }
  client.write(lastChunk)
  return client
}

for (const { name, mount } of hosts) {
  describe(`bodyCache on ${name}, with a reader that another one overtakes`, () => {
    afterEach(closeServers)

    for (const [slow, readSlowly] of Object.entries(slowReaders)) {
      for (const [how, overtake] of Object.entries(overtaking)) {
        it(`gives both the whole body if ${slow} is overtaken ${how}`, async () => {
          const handler: Handler = async (req, res) => {
            const first = readSlowly(req)
            await until(() => req.readableDidRead)
            res.end((await Promise.all([first, overtake(req)])).join())
          }
          const { port } = await serve(mount(bodyCache({ memory: 100_000 }), handler))
          const client = await sendParts(port)
          const whole = PART.length * PARTS
          expect(String((await client.response()).body)).to.equal(`${whole},${whole}`)
          client.destroy()
        })
      }
    }

    it('waits for no destination that takes nothing, as a pipe has an end of its own', async () => {
      const handler: Handler = async (req, res) => {
        const stuck = req.pipe(new PassThrough())
        await until(() => stuck.writableNeedDrain)
        res.end(String(await countWithData(req)))
      }
      const { port } = await serve(mount(bodyCache(), handler))
      const client = await sendParts(port)
      expect(String((await client.response()).body)).to.equal(String(PART.length * PARTS))
      client.destroy()
    })

    for (const how of ['this destination', 'all destinations'] as const) {
      it(`waits no longer for a destination that takes nothing once the request is unpiped from ${how}`, async () => {
        const handler: Handler = async (req, res) => {
          const stuck = req.on('end', () => {}).pipe(new PassThrough())
          await until(() => stuck.writableNeedDrain)
          const second = countWithData(req)
          await until(() => req.complete)
          if (how === 'this destination') req.unpipe(stuck)
          else req.unpipe()
          res.end(String(await second))
        }
        const { port } = await serve(mount(bodyCache(), handler))
        const client = await sendParts(port)
        expect(String((await client.response()).body)).to.equal(String(PART.length * PARTS))
        client.destroy()
      })
    }
  })
}

describe('bodyCache, with a reader that another one overtakes', () => {
  afterEach(closeServers)

  it('gives a listener the last bytes of the file before its end, although the other one reads them first', async () => {
    const size = 4 * 65_536
    const restore = await delayFirstRead(size - 65_536)
    try {
      const { client, req, res } = await exchange([`Content-Length: ${size}`], { memory: 0 })
      client.write(Buffer.alloc(size, 97))
      await req.bodyCache.blob()
      let second: Promise<number> | undefined
      req.once('data', () => {
        second = countWithData(req)
      })
      expect(await countWithData(req)).to.equal(size)
      expect(await second).to.equal(size)
      res.end()
      client.destroy()
    } finally {
      restore()
    }
  })

  for (const [when, begin] of [
    [
      'beside a listener',
      async (req: IncomingMessage, slow: Writable) => {
        req.on('data', () => {})
        await immediate()
        req.pipe(slow)
      },
    ],
    [
      'in the listener that got the first chunk',
      (req: IncomingMessage, slow: Writable) => {
        req.once('data', (chunk) => {
          slow.write(chunk)
          req.pipe(slow)
        })
      },
    ],
  ] as const) {
    it(`feeds a pipe at its pace that began while the request flowed, ${when}`, async () => {
      const { client, req, res } = await exchange()
      const slow = new SlowWritable({ highWaterMark: 4 * PART.length })
      slow.isSlow = false
      await begin(req, slow)
      for (let part = 1; part <= 3; part++) {
        client.write(asChunk(PART))
        await until(() => slow.taken === part * PART.length)
      }
      slow.isSlow = true
      const second = countWithData(req)
      const size = 4_000_000
      client.write(asChunk(Buffer.alloc(size, 97)), lastChunk)
      expect(await second).to.equal(3 * PART.length + size)
      await once(slow, 'finish')
      expect(slow.taken).to.equal(3 * PART.length + size)
      expect(slow.most).to.be.lessThan(size / 4)
      res.end()
      client.destroy()
    })
  }

  it('ends for the other one if the destination of a pipe is lost', async () => {
    const { client, req, res } = await exchange()
    const stuck = new Writable({ highWaterMark: 1, write: () => {} })
    req.pipe(stuck)
    client.write(asChunk('one '))
    await until(() => stuck.writableLength > 0)
    const second = countWithData(req)
    client.write(asChunk('two'), lastChunk)
    await until(() => req.complete)
    stuck.destroy()
    expect(await second).to.equal(7)
    res.end()
    client.destroy()
  })

  it('ends for the other one if a pipe was taken back before it began', async () => {
    const { client, req, res } = await exchange()
    const first = countWithData(req)
    const gone = new PassThrough()
    req.pipe(gone)
    client.write(asChunk('one '))
    await until(() => gone.readableLength > 0)
    req.unpipe(gone)
    const second = countWithData(req.resume())
    client.write(asChunk('two'), lastChunk)
    expect([await first, await second]).to.deep.equal([7, 7])
    res.end()
    client.destroy()
  })

  it('gives the whole body to a reader that sets an encoding while the first one waits for its destination', async () => {
    const { client, req, res } = await exchange()
    let release: (() => void) | undefined
    let had = ''
    const held = new Writable({
      highWaterMark: 1,
      write: (chunk, _encoding, done) => {
        had += String(chunk)
        release = done
      },
    })
    const first = pipeline(req, held)
    client.write(asChunk('one '))
    await until(() => release !== undefined)
    client.write(asChunk('é two '))
    await until(() => req.readableLength > 0)
    let second = ''
    const ended = once(req.setEncoding('utf8'), 'end')
    req.on('data', (chunk: string) => {
      expect(chunk).to.be.a('string')
      second += chunk
    })
    client.write(asChunk('three'), lastChunk)
    await until(() => second.endsWith('three'))
    held._write = (chunk, _encoding, done) => {
      had += String(chunk)
      done()
    }
    release!()
    await Promise.all([first, ended])
    expect([had, second]).to.deep.equal(['one é two three', 'one é two three'])
    res.end()
    client.destroy()
  })

  it("tells nobody of 'close' before its end if the other one gives up, and a loop leaves the body", async () => {
    const { client, req, res } = await exchange()
    const heard: string[] = []
    for (const event of ['close', 'end']) req.once(event, () => heard.push(event))
    const first = countWithData(req)
    client.write(asChunk('one '))
    await until(() => req.readableDidRead)
    await rawBody(req, { limit: 1 }).catch(() => undefined)
    for await (const _chunk of req) break
    await turns()
    client.write(asChunk('two'), lastChunk)
    expect(await first).to.equal(7)
    await until(() => heard.length > 1)
    expect(heard).to.deep.equal(['end', 'close'])
    res.end()
    client.destroy()
  })
})
