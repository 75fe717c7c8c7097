import type { IncomingMessage, ServerResponse } from 'node:http'
import { PassThrough } from 'node:stream'
import { expect } from 'chai'
import { passthroughProxy, pipeChild } from 'sluiceway'
import { sh } from '../pipe-child/piped.js'
import { RawClient } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { scriptedUpstream } from '../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../support/servers/servers.js'

/** The ways in which an application turns chunks off, as for a player or a device that does not know them. */
const unframed: Record<string, (res: ServerResponse) => void> = {
  'without Transfer-Encoding': (res) => res.removeHeader('Transfer-Encoding'),
  'with useChunkedEncodingByDefault false': (res) => (res.useChunkedEncodingByDefault = false),
}

for (const { name, mount } of hosts) {
  describe(`a body that ends with its connection, on ${name}`, () => {
    afterEach(closeServers)

    for (const [how, setUp] of Object.entries(unframed)) {
      const before: Handler = (_req: IncomingMessage, res, next) => {
        setUp(res)
        next()
      }

      it(`is cut by a reset if it fails, and not by an end: the output of a child, ${how}`, async () => {
        const stdin = new PassThrough()
        const run: Handler = (_req, res) => void pipeChild(res, sh('cat'), { stdin }).catch(() => {})
        const { port } = await serve(mount(before, run))
        const client = await asked(port)
        stdin.write('half')
        await client.untilText('half')
        stdin.destroy(new Error('source'))
        expect(await endOf(client)).to.match(/^connection failed \(ECONNRESET\)/)
      })

      it(`is cut by a reset if it fails, and not by an end: the answer of an upstream, ${how}`, async () => {
        const upstream = await scriptedUpstream()
        const { port } = await serve(mount(before, passthroughProxy(upstream.url)))
        const client = await asked(port)
        const connection = await upstream.connection()
        connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n')
        await client.untilText('half')
        connection.socket.resetAndDestroy()
        expect(await endOf(client)).to.match(/^connection failed \(ECONNRESET\)/)
      })
    }
  })
}

async function asked(port: number): Promise<RawClient> {
  const client = await RawClient.connect(port)
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  return client
}

/** Returns why the rest of the body never came. */
function endOf(client: RawClient): Promise<string> {
  return client.untilText('whole').catch((error: Error) => error.message)
}
