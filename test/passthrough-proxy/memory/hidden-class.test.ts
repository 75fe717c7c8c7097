import type { IncomingMessage, ServerResponse } from 'node:http'
import { expect } from 'chai'
import { passthroughProxy } from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { isFast } from '../../support/process/hidden-classes.js'
import { proxied, request } from '../../support/servers/proxied.js'
import { answer, scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../../support/servers/servers.js'

interface Seen {
  readonly req: IncomingMessage
  readonly res: ServerResponse
}

describe('passthroughProxy and the hidden classes of V8', () => {
  afterEach(closeServers)

  for (const { name, express } of expressVersions) {
    it(`leaves a property as an application of ${name} has defined it`, async () => {
      const seen: Seen[] = []
      const method = { get: () => 'PUT', enumerable: false, configurable: true }
      const { exchange } = await proxied({
        express,
        prepare: (app) =>
          app.use(keepIn(seen), (req, res, next) => {
            Object.defineProperty(req, 'method', method)
            Object.defineProperty(res, 'req', { value: req, writable: false, configurable: false })
            next()
          }),
      })
      expect((await exchange(request('GET', '/'))).seen).to.match(/^PUT \/ HTTP/)
      const [{ req, res }] = seen as [Seen]
      expect(Object.getOwnPropertyDescriptor(req, 'method')).to.include(method)
      expect(Object.getOwnPropertyDescriptor(res, 'req')).to.include({ value: req, writable: false })
    })
  }

  it('leaves those alone that still have the prototypes of Node', async () => {
    const upstream = await scriptedUpstream()
    const proxy = passthroughProxy(upstream.url)
    const seen: Seen[] = []
    const server = await serve((req, res) => {
      seen.push({ req, res })
      proxy(req, res, () => res.destroy())
    })
    const client = await RawClient.connect(server.port)
    client.write(request('GET', '/'))
    const connection = await upstream.connection()
    await connection.untilText('\r\n\r\n')
    connection.write(answer())
    await client.response()
    const [{ req, res }] = seen as [Seen]
    expect([isFast(req), isFast(res)]).to.deep.equal([true, true])
  })
})

function keepIn(seen: Seen[]) {
  return (req: IncomingMessage, res: ServerResponse, next: () => void): void => {
    seen.push({ req, res })
    next()
  }
}
