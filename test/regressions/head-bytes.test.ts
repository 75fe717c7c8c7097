// Found by test/fuzz/proxied-heads: Node's `flushHeaders` writes a head as UTF-8, whereas a head that is sent with a body is
// latin1, a byte for each character. A flushed head had each byte beyond ASCII doubled: `ü` in a file name
// arrived as `Ã¼`, depending on whether the body came in the same read.
import { expect } from 'chai'
import { autoFlush } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { hosts } from '../support/express/hosts.js'
import { proxied, request } from '../support/servers/proxied.js'
import { closeServers, serve } from '../support/servers/servers.js'

const LINE = Buffer.from('Content-Disposition: attachment; filename="\u00fc \u20ac"\r\n')

describe('a head that is sent before its body', () => {
  afterEach(closeServers)

  for (const isPatched of [false, true]) {
    for (const body of ['', 'ok']) {
      for (const order of ['before', 'behind'] as const) {
        it(`keeps its bytes through passthroughProxy, ${order} a length, ${nameOf(isPatched, body)}`, async () => {
          const { client, upstream } = await proxied({ prepare: (app) => app.set('x-powered-by', isPatched) })
          client.write(request('GET', '/'))
          const connection = await upstream.connection()
          const lines = ['Content-Length: 2\r\n', LINE]
          connection.write(
            'HTTP/1.1 200 OK\r\n',
            ...(order === 'behind' ? lines : lines.toReversed()),
            `\r\n${body}`,
          )
          expect(await client.untilText('\r\n\r\n')).to.contain(LINE.toString('latin1'))
        })
      }
    }
  }

  for (const { name, mount } of hosts) {
    it(`keeps its bytes through autoFlush (${name})`, async () => {
      const handler = mount(autoFlush(), (_req, res) => {
        res.setHeader(
          'Content-Disposition',
          LINE.toString('latin1').slice('Content-Disposition: '.length, -2),
        )
        res.writeHead(200, { 'Content-Type': 'text/plain' })
      })
      const { port } = await serve(handler)
      const client = await RawClient.connect(port)
      client.request('GET', '/')
      expect(await client.untilText('\r\n\r\n')).to.contain(LINE.toString('latin1'))
      client.destroy()
    })
  }
})

function nameOf(isPatched: boolean, body: string): string {
  return `${body === '' ? 'without' : 'with'} a body, ${isPatched ? 'beside' : 'without'} headers of the app`
}
