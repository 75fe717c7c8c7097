import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { PassThrough, Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { expect } from 'chai'
import { formidable } from 'formidable'
import rawBody from 'raw-body'
import { asChunk, lastChunk } from '../../support/clients/raw-client.js'
import { closeServers } from '../../support/servers/servers.js'
import { until } from '../../support/time/until.js'
import { exchange } from '../exchange.js'
import { readWithData, readWithReadable } from './listening-readers.js'

const MULTIPART = 'multipart/form-data; boundary=x'
const FORM =
  '--x\r\nContent-Disposition: form-data; name="a"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\nhello\r\n--x--\r\n'

/** Takes a little at a time, and records the most that it had to hold. */
class SlowWritable extends Writable {
  taken = 0
  most = 0

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.taken += chunk.length
    this.most = Math.max(this.most, this.writableLength)
    setImmediate(() => setImmediate(done))
  }
}

describe('bodyCache, with readers that start while another is reading', () => {
  afterEach(closeServers)

  it('gives each of them the whole body, however each reads req', async () => {
    const { client, req, res } = await exchange()
    const first = readWithData(req)
    client.write(asChunk('one '))
    await until(() => first.sofar() === 'one ')
    const second = text(req.pipe(new PassThrough()))
    client.write(asChunk('two '))
    await until(() => first.sofar() === 'one two ')
    const third = new Response(req as never).text()
    const fourth = text(req)
    const fifth = text(Readable.toWeb(req))
    const sixth = rawBody(req)
    client.write(asChunk('three '))
    await until(() => first.sofar() === 'one two three ')
    const seventh = readWithData(req.setEncoding('utf8'))
    client.write(asChunk('four'), lastChunk)
    const found = await Promise.all([
      first.whole,
      second,
      third,
      fourth,
      fifth,
      sixth.then(String),
      seventh.whole,
    ])
    expect(found).to.deep.equal(Array.from({ length: 7 }, () => 'one two three four'))
    expect(String(await rawBody(req))).to.equal('one two three four')
    expect(first.ends()).to.equal(1)
    res.end()
    expect((await client.response()).status).to.equal(200)
    client.destroy()
  })

  it('feeds two slow pipes that join in the middle, and share an encoding', async () => {
    const { client, req, res } = await exchange()
    const first = readWithData(req)
    client.write(asChunk('one '))
    await until(() => first.sofar() === 'one ')
    req.setEncoding('utf8')
    const slow = Array.from({ length: 2 }, () => new SlowWritable({ highWaterMark: 1 }))
    for (const destination of slow) req.pipe(destination)
    const finished = Promise.all(slow.map((destination) => once(destination, 'finish')))
    client.write(asChunk('two '), lastChunk)
    await finished
    expect(slow.map(({ taken }) => taken)).to.deep.equal([8, 8])
    expect(await first.whole).to.equal('one two ')
    res.end()
    client.destroy()
  })

  it('gives the whole body to a reader that comes after a parser that did not wait for the end', async () => {
    const { client, req, res } = await exchange(['Transfer-Encoding: chunked', `Content-Type: ${MULTIPART}`])
    const stored: Promise<string>[] = []
    const fileWriteStreamHandler = (): Writable => {
      const file = new PassThrough()
      stored.push(text(file))
      return file
    }
    client.write(asChunk(FORM))
    await formidable({ fileWriteStreamHandler }).parse(req)
    const next = rawBody(req)
    client.write(lastChunk)
    expect(String(await next)).to.equal(FORM)
    expect(await Promise.all(stored)).to.deep.equal(['hello'])
    res.end()
    client.destroy()
  })

  it("gives the whole body to a reader that comes when another has the last byte, but not yet 'end'", async () => {
    const { client, req, res } = await exchange()
    client.write(asChunk('one '), asChunk('two'), lastChunk)
    await until(() => req.bodyCache.complete)
    const late = new Promise<string>((resolve) => {
      req.on('data', (chunk: Buffer) => {
        // Into a destination that takes a byte at a time.
        if (String(chunk) === 'two') resolve(text(req.pipe(new PassThrough({ highWaterMark: 1 }))))
      })
    })
    expect(await late).to.equal('one two')
    res.end()
    client.destroy()
  })

  it('allows a destination that came later to leave again', async () => {
    const { client, req, res } = await exchange()
    const first = readWithData(req)
    client.write(asChunk('one '))
    await until(() => first.sofar() === 'one ')
    const destination = new PassThrough()
    req.pipe(destination)
    req.unpipe(destination).resume()
    client.write(asChunk('two'), lastChunk)
    expect([await first.whole, destination.readableLength]).to.deep.equal(['one two', 0])
    res.end()
    client.destroy()
  })

  it('gives the whole body to a reader that comes after a destination has left', async () => {
    const { client, req, res } = await exchange()
    const destination = new PassThrough()
    client.write(asChunk('one '))
    await once(req.pipe(destination), 'data')
    req.unpipe(destination)
    const late = rawBody(req)
    client.write(asChunk('two'), lastChunk)
    expect(String(await late)).to.equal('one two')
    res.end()
    client.destroy()
  })

  it('continues each pipe at the pace of its destination', async () => {
    const { client, req, res } = await exchange()
    const slow = new SlowWritable()
    req.pipe(slow)
    client.write(asChunk('x'.repeat(200_000)))
    await once(req, 'data')
    const [late, later] = [text(req.pipe(new PassThrough())), new SlowWritable()]
    client.write(asChunk('y'.repeat(200_000)))
    await until(() => slow.taken > 0)
    req.pipe(later)
    client.write(asChunk('z'.repeat(200_000)), lastChunk)
    expect(await late).to.have.lengthOf(600_000)
    for (const one of [slow, later]) {
      if (!one.writableFinished) await once(one, 'finish')
      expect(one.taken).to.equal(600_000)
      // One chunk from the connection, or from the file, beyond the mark.
      expect(one.most).to.be.below(200_000)
    }
    res.end()
    client.destroy()
  })

  it('does not end the destination of a pipe with { end: false }', async () => {
    const { client, req, res } = await exchange()
    const [open, ended] = [new SlowWritable(), new SlowWritable()]
    req.pipe(open, { end: false })
    req.pipe(ended)
    client.write(asChunk('one '))
    await once(req, 'data')
    const whole = readWithData(req)
    client.write(asChunk('two'), lastChunk)
    expect(await whole.whole).to.equal('one two')
    if (!ended.writableFinished) await once(ended, 'finish')
    await until(() => open.taken === 7)
    expect([ended.taken, open.writableEnded]).to.deep.equal([7, false])
    res.end()
    client.destroy()
  })

  it('fails the destination of a pipe that it continues when the body is too large', async () => {
    const { client, req, res } = await exchange(undefined, { limit: 150_000 })
    const slow = new SlowWritable()
    req.pipe(slow)
    client.write(asChunk('x'.repeat(100_000)))
    await once(req, 'data')
    const late = req.pipe(new PassThrough()).resume()
    client.write(asChunk('x'.repeat(100_000)))
    const failures = await Promise.all(
      [slow, late].map((one) => new Promise((resolve) => void one.once('error', resolve))),
    )
    const codes = failures.map((error) => (error as { code: string }).code)
    expect(codes).to.deep.equal(['ERR_SLUICEWAY_BODY_TOO_LARGE', 'ERR_SLUICEWAY_BODY_TOO_LARGE'])
    res.end()
    client.destroy()
  })

  const drains: [string, (req: IncomingMessage) => unknown][] = [
    ['resume()', (req) => req.resume()],
    [
      "a listener for 'readable', as multer drains what it has parsed",
      (req) =>
        req
          .on('readable', () => {
            while (req.read() !== null);
          })
          .resume(),
    ],
  ]
  for (const [how, drain] of drains) {
    it(`gives the whole body to a reader that comes while the body is discarded by ${how}`, async () => {
      const { client, req, res } = await exchange()
      let ends = 0
      req.on('end', () => {
        ends += 1
      })
      drain(req)
      client.write(asChunk('one '))
      await until(() => req.readableDidRead)
      const late = readWithReadable(req)
      client.write(asChunk('two'), lastChunk)
      expect([await late.whole, ends]).to.deep.equal(['one two', 1])
      res.end()
      client.destroy()
    })
  }

  it('continues as in Node when one listener takes over from another', async () => {
    const { client, req, res } = await exchange()
    client.write(asChunk('head '))
    const [head] = (await once(req, 'data')) as [Buffer]
    const rest = text(req.pipe(new PassThrough()))
    client.write(asChunk('rest'), lastChunk)
    expect([String(head), await rest]).to.deep.equal(['head ', 'rest'])
    res.end()
    client.destroy()
  })

  it('recognises a reader even if req flowed without a listener before', async () => {
    const { client, req, res } = await exchange()
    req.resume()
    await once(req, 'resume')
    const first = readWithData(req)
    client.write(asChunk('one '))
    await until(() => first.sofar() === 'one ')
    const late = rawBody(req)
    client.write(asChunk('two'), lastChunk)
    expect([await first.whole, String(await late)]).to.deep.equal(['one two', 'one two'])
    res.end()
    client.destroy()
  })

  it('gives the first reader the bytes that it had not taken yet', async () => {
    const { client, req, res } = await exchange()
    const first = readWithData(req)
    client.write(asChunk('one '))
    await until(() => first.sofar() === 'one ')
    req.pause()
    client.write(asChunk('two '))
    await until(() => req.readableLength > 0)
    const late = rawBody(req)
    client.write(asChunk('three'), lastChunk)
    expect([await first.whole, String(await late)]).to.deep.equal(['one two three', 'one two three'])
    res.end()
    client.destroy()
  })

  const stops: [string, (req: IncomingMessage) => Promise<unknown>][] = [
    [
      'fails to write',
      (req) =>
        pipeline(req, new Writable({ write: (_chunk, _encoding, done) => done(new Error('disk full')) })),
    ],
    ['stops at its limit', (req) => rawBody(req, { limit: 3 })],
  ]
  for (const [what, stop] of stops) {
    it(`brings the first reader to the end when the later one ${what}`, async () => {
      const { client, req, res } = await exchange()
      const first = readWithData(req)
      client.write(asChunk('one '))
      await until(() => first.sofar() === 'one ')
      const error = await stop(req).catch((reason: Error) => reason)
      expect(error).to.be.instanceOf(Error)
      client.write(asChunk('two'), lastChunk)
      expect(await first.whole).to.equal('one two')
      expect(await text(req)).to.equal('one two')
      res.end()
      expect((await client.response()).status).to.equal(200)
      client.destroy()
    })
  }
})
