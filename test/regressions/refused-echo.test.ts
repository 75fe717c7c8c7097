// Found by test/fuzz/options.test.ts: a request piped into its own response, as in an echo, fails after the head has been
// sent. The response is cut, with its socket; Node then destroys the request as aborted. The request still
// had the `_destroy` of the failed round, which emitted an error without a listener: the process ended.
import { expect } from 'chai'
import { bodyCache, maxBytes } from 'sluiceway'
import { asChunk, RawClient } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { until } from '../support/time/until.js'

const refusals: Readonly<Record<string, () => Handler>> = {
  'maxBytes past its limit': () => maxBytes(8),
  'bodyCache past its limit': () => bodyCache({ limit: 8 }),
  'bodyCache without room': () => bodyCache({ memory: 8, diskBudget: 0 }),
}

for (const { name: host, mount } of hosts) {
  describe(`a request piped into its own response on ${host}`, () => {
    afterEach(closeServers)

    for (const [name, refusing] of Object.entries(refusals)) {
      it(`is cut by ${name}, and the server continues`, async () => {
        const { port, connections } = await serve(mount(refusing(), (req, res) => void req.pipe(res)))
        const client = await RawClient.connect(port)
        client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n', asChunk('within'))
        await client.untilText('within\r\n')
        client.write(asChunk('and beyond'))
        await client.closed()
        expect(client.pending.toString()).not.to.contain('0\r\n\r\n')
        await until(() => connections.every((socket) => socket.closed))

        const next = await RawClient.connect(port)
        next.request('POST', '/', {}, 'short')
        expect((await next.response()).body.toString()).to.equal('short')
        next.destroy()
      })
    }
  })
}
