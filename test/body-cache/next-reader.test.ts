import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { expect } from 'chai'
import { bodyCache } from 'sluiceway/body-cache'
import { hosts } from '../support/hosts.js'
import { RawClient } from '../support/raw-client.js'
import { closeServers, serve } from '../support/servers.js'
import { fillDisk } from './stops.js'

const BODY = Buffer.alloc(65_437, 'abcdefg')

async function byListeners(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  req.on('data', (chunk: Buffer) => chunks.push(chunk))
  await once(req, 'end')
  return Buffer.concat(chunks)
}

for (const { name, mount } of hosts) {
  describe(`bodyCache on ${name}, after a reader that failed beside another`, () => {
    afterEach(closeServers)

    for (const memory of ['0', '1mb']) {
      it(`gives the next reader the whole body (memory: '${memory}')`, async () => {
        const { port } = await serve(
          mount(bodyCache({ memory }), async (req, res) => {
            const first = await byListeners(req)
            await Promise.all([fillDisk(req), req.bodyCache?.buffer()])
            const last = await byListeners(req)
            res.end([first, last].map((found) => String(found.equals(BODY))).join())
          }),
        )
        const client = await RawClient.connect(port)
        client.request('POST', '/', {}, [BODY.toString()])
        expect(String((await client.response()).body)).to.equal('true,true')
        client.destroy()
      })
    }
  })
}
