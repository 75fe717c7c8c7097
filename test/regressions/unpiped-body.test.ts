// Found by test/fuzz/request-bodies.test.ts on Node 24: a reader took all bytes of a body that had arrived, and unpiped
// before the end came. The request then had its end and an empty buffer, which `Readable.toWeb` takes for a
// stream that has been read: it returned an empty body.
import { once } from 'node:events'
import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { bodyCache } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { hosts } from '../support/express/hosts.js'
import { closeServers, serve } from '../support/servers/servers.js'

for (const { name, mount } of hosts) {
  describe(`a body that was unpiped before its end on ${name}`, () => {
    afterEach(closeServers)

    it('is read whole through Readable.toWeb', async () => {
      const { port } = await serve(
        mount(bodyCache(), async (req, res) => {
          const destination = req.pipe(new PassThrough())
          await once(destination, 'data')
          req.unpipe(destination)
          // Its end comes in the meantime.
          for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate)
          res.end(await text(Readable.toWeb(req)))
        }),
      )
      const client = await RawClient.connect(port)
      client.request('POST', '/', {}, 'body')
      expect((await client.response()).body.toString()).to.equal('body')
      client.destroy()
    })
  })
}
