import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { expect } from 'chai'
import { asChunk, lastChunk } from '../../support/clients/raw-client.js'
import { closeServers } from '../../support/servers/servers.js'
import { exchange } from '../exchange.js'

const TEXT = 'gr\u00fc\u00dfe \u{1f30a}'

const collect = async (source: AsyncIterable<unknown>): Promise<string> => {
  let text = ''
  for await (const chunk of source) text += String(chunk)
  return text
}

const readers: Readonly<Record<string, (req: Readable) => Promise<string>>> = {
  'for await': collect,
  iterator: (req) => collect(req.iterator()),
  toArray: async (req) => (await req.toArray()).join(''),
  'a function in a pipeline': async (req) => {
    let text = ''
    await pipeline(req, async (source: AsyncIterable<unknown>) => {
      text = await collect(source)
    })
    return text
  },
  'two iterators, of which the first leaves the rest': async (req) => {
    let text = ''
    for await (const chunk of req.iterator({ destroyOnReturn: false })) {
      text = String(chunk)
      break
    }
    return text + (await collect(req))
  },
}

describe('bodyCache, after setEncoding()', () => {
  afterEach(closeServers)

  for (const [how, read] of Object.entries(readers)) {
    for (const encoding of ['utf8', 'hex'] as const) {
      it(`gives whole characters of ${encoding} to ${how}, and bytes to the next reader`, async () => {
        const { client, req, res } = await exchange()
        const first = read(req.setEncoding(encoding))
        // Each byte is a chunk of its own.
        for (const byte of Buffer.from(TEXT)) client.write(asChunk(Buffer.of(byte)))
        client.write(lastChunk)
        expect(await first).to.equal(Buffer.from(TEXT).toString(encoding))
        expect((await buffer(req)).toString()).to.equal(TEXT)
        res.end()
        client.destroy()
      })
    }
  }

  for (const event of ['data', 'readable'] as const) {
    it(`gives the text to a listener for '${event}' and to a loop that begins in the same turn`, async () => {
      const { client, req, res } = await exchange()
      let heard = ''
      req.setEncoding('utf8').on(event, (chunk: string | null = req.read() as string | null) => {
        heard += chunk ?? ''
      })
      const looped = collect(req)
      client.write(asChunk(Buffer.from(TEXT)), lastChunk)
      expect(await looped).to.equal(TEXT)
      expect(heard).to.equal(TEXT)
      res.end()
      client.destroy()
    })
  }
})
