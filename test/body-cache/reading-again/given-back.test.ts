import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { setImmediate as turn } from 'node:timers/promises'
import { expect } from 'chai'
import { asChunk, lastChunk } from '../../support/clients/raw-client.js'
import { closeServers } from '../../support/servers/servers.js'
import { exchange } from '../exchange.js'

/** Reads the first chunk with `once('data')`, and does something with it before any other reader. */
function withFirst(req: IncomingMessage, act: (chunk: Buffer) => void): Promise<void> {
  return new Promise((resolve) => {
    req.once('data', (chunk: Buffer) => {
      act(chunk)
      resolve()
    })
  })
}

/** The ways in which code looks at a body, and gives back what follows its first line. */
const ways: Readonly<Record<string, (req: IncomingMessage) => Promise<void>>> = {
  'pause() and unshift()': (req) =>
    withFirst(req, (chunk) => {
      req.pause()
      req.unshift(chunk.subarray(5))
    }),
  'unshift() and pause()': (req) =>
    withFirst(req, (chunk) => {
      req.unshift(chunk.subarray(5))
      req.pause()
    }),
  'strings, pause() and unshift()': (req) =>
    withFirst(req.setEncoding('utf8'), (chunk) => {
      req.pause()
      req.unshift(String(chunk).slice(5), 'utf8')
    }),
  'pause(), and unshift() in a later turn': async (req) => {
    let first: Buffer = Buffer.alloc(0)
    await withFirst(req, (chunk) => {
      req.pause()
      first = chunk
    })
    await turn()
    req.unshift(first.subarray(5))
  },
  'unpipe() and unshift()': async (req) => {
    const first = new PassThrough()
    const chunk = new Promise<Buffer>((resolve) => first.once('data', resolve))
    req.pipe(first)
    const found = await chunk
    req.unpipe(first)
    req.unshift(found.subarray(5))
  },
  "'readable' and unshift()": (req) =>
    new Promise((resolve) => {
      req.once('readable', () => {
        req.unshift((req.read() as Buffer).subarray(5))
        resolve()
      })
    }),
  // Its place is in the middle of a chunk.
  "'readable', a part, pause() and unshift()": (req) =>
    new Promise((resolve) => {
      req.once('readable', () => {
        const part = req.read(7) as Buffer
        req.pause()
        req.unshift(part.subarray(5))
        resolve()
      })
    }),
}

describe('bodyCache, with a reader that gives bytes back', () => {
  afterEach(closeServers)

  for (const [name, look] of Object.entries(ways)) {
    it(`goes on with them for the next reader, and then starts over: ${name}`, async () => {
      const { client, req } = await exchange()
      client.write(asChunk('head\nbody'))
      await look(req)
      await turn()
      const next = text(req.pipe(new PassThrough()))
      client.write(asChunk(' and more') + lastChunk)
      expect(await next).to.equal('body and more')
      expect(await text(req.pipe(new PassThrough()))).to.equal('head\nbody and more')
      client.destroy()
    })
  }

  for (const encoding of [undefined, 'utf8'] as const) {
    it(`keeps the encoding of a reader that gives bytes back in a later turn: ${encoding ?? 'none'}`, async () => {
      const { client, req } = await exchange()
      client.write(asChunk('head\nbody'))
      if (encoding !== undefined) req.setEncoding(encoding)
      let first: Buffer | string = ''
      await withFirst(req, (chunk) => {
        req.pause()
        first = chunk
      })
      await turn()
      req.unshift(first.slice(5), encoding)
      const next = once(req, 'data')
      req.resume()
      expect(await next).to.deep.equal([encoding === undefined ? Buffer.from('body') : 'body'])
      client.destroy()
    })
  }

  it('gives the whole body, once, to a parser behind a reader that gives all of them back', async () => {
    const { client, req } = await exchange()
    client.write(asChunk('head\nbody') + lastChunk)
    await withFirst(req, (chunk) => {
      req.pause()
      req.unshift(chunk)
    })
    expect(await text(req.pipe(new PassThrough()))).to.equal('head\nbody')
    expect(await text(req)).to.equal('head\nbody')
    client.destroy()
  })

  it('starts over behind a reader that has paused and gives nothing back', async () => {
    const { client, req } = await exchange()
    client.write(asChunk('head\nbody') + lastChunk)
    await withFirst(req, () => req.pause())
    expect(await text(req.pipe(new PassThrough()))).to.equal('head\nbody')
    client.destroy()
  })
})
