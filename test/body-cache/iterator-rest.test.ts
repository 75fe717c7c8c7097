import type { IncomingMessage } from 'node:http'
import { PassThrough, type Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { expect } from 'chai'
import rawBody from 'raw-body'
import { bodyCache } from 'sluiceway/body-cache'
import { type Handler, hosts } from '../support/hosts.js'
import { closeServers, serve } from '../support/servers.js'

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

for (const { name, mount } of hosts) {
  describe(`req.iterator({ destroyOnReturn: false }) after bodyCache on ${name}`, () => {
    afterEach(closeServers)

    for (const memory of ['1mb', 0] as const) {
      for (const [how, rest] of Object.entries(rests)) {
        it(`leaves the rest to ${how}, and the whole body to the reader after that, with ${memory} of memory`, async () => {
          const handler: Handler = async (req, res) => {
            const first = await begin(req)
            const joined = Buffer.concat([first, await rest(req)])
            const again = await buffer(req)
            res.end(JSON.stringify([joined.equals(BODY), again.equals(BODY)]))
          }
          const { url } = await serve(mount(bodyCache({ memory }), handler))
          const response = await fetch(url, { method: 'POST', body: BODY })
          expect(await response.text()).to.equal('[true,true]')
        })
      }
    }
  })
}
