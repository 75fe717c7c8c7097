import type { IncomingMessage } from 'node:http'
import { PassThrough, type Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { expect } from 'chai'
import rawBody from 'raw-body'
import { bodyCache } from 'sluiceway/body-cache'
import { asChunk, lastChunk } from '../../support/clients/raw-client.js'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { exchange } from '../exchange.js'

const BODY = Buffer.from(Array.from({ length: 300_000 }, (_, at) => at % 251))

const begin = async (req: Readable): Promise<Buffer> => {
  for await (const chunk of req.iterator({ destroyOnReturn: false })) return chunk as Buffer
  return Buffer.alloc(0)
}

const rests: Readonly<Record<string, (req: IncomingMessage) => Promise<Buffer>>> = {
  'for await': (req) => buffer(req),
  'an iterator of the same kind': (req) => buffer(req.iterator({ destroyOnReturn: false })),
  'pipe()': (req) => buffer(req.pipe(new PassThrough())),
  'raw-body': (req) => rawBody(req),
  'a second beginning, and for await': async (req) => Buffer.concat([await begin(req), await buffer(req)]),
}

describe('req.iterator({ destroyOnReturn: false }) after bodyCache, with an encoding', () => {
  afterEach(closeServers)

  for (const memory of ['1mb', 0]) {
    it(`leaves the rest of a character that came in two chunks, with ${memory} of memory`, async () => {
      const { client, req } = await exchange(undefined, { memory })
      client.write(asChunk(Buffer.from('aé').subarray(0, 2)))
      const first = await begin(req.setEncoding('utf8'))
      client.write(asChunk(Buffer.from('é').subarray(1)), asChunk('b'), lastChunk)
      expect(String(first) + (await text(req.pipe(new PassThrough())))).to.equal('aéb')
      expect(await text(req)).to.equal('aéb')
      client.destroy()
    })

    it(`goes on after malformed characters, which are longer as text, with ${memory} of memory`, async () => {
      const { client, req } = await exchange(undefined, { memory })
      client.write(asChunk(Buffer.from([0xff, 0xfe, 0xfd])))
      const first = await begin(req.setEncoding('utf8'))
      client.write(asChunk('rest'), lastChunk)
      expect(String(first)).to.equal('\uFFFD\uFFFD\uFFFD')
      expect(await text(req.pipe(new PassThrough()))).to.equal('rest')
      client.destroy()
    })
  }
})

for (const { name, mount } of hosts) {
  describe(`req.iterator({ destroyOnReturn: false }) after bodyCache on ${name}`, () => {
    afterEach(closeServers)

    for (const memory of ['1mb', 0] as const) {
      for (const [how, rest] of Object.entries(rests)) {
        it(`leaves the rest to ${how}, and the whole body to the reader after that, with ${memory} of memory`, async () => {
          const handler: Handler = async (req, res) => {
            const first = await begin(req)
            const joined = Buffer.concat([first, await rest(req)])
            const again = [await rawBody(req), await buffer(req), await rawBody(req)]
            res.end(JSON.stringify([joined, ...again].map((one) => one.equals(BODY))))
          }
          const { url } = await serve(mount(bodyCache({ memory }), handler))
          const response = await fetch(url, { method: 'POST', body: BODY })
          expect(await response.text()).to.equal('[true,true,true,true]')
        })
      }
    }
  })
}
