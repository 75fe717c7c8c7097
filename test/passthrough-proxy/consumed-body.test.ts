import { expect } from 'chai'
import { passthroughProxy } from 'sluiceway'

import { expressVersions } from '../support/express-versions.js'
import { RawClient } from '../support/raw-client.js'
import { answer, scriptedUpstream } from '../support/scripted-upstream.js'
import { closeServers, serve } from '../support/servers.js'

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy behind a body parser (${name})`, () => {
    afterEach(closeServers)

    for (const [framing, body] of [
      ['Content-Length', '{"a":1}'],
      ['chunks', ['{"a":', '1}']],
    ] as const) {
      it(`refuses a body with ${framing} at once, and says what to do`, async () => {
        const upstream = await scriptedUpstream()
        const errors: { code?: string; message?: string; status?: number }[] = []
        const app = express().use(express.json(), passthroughProxy(upstream.url))
        app.use((error: object, _req: unknown, _res: unknown, next: (error: unknown) => void) => {
          errors.push(error)
          next(error)
        })
        const client = await RawClient.connect((await serve(app)).port)
        client.request('POST', '/', { 'Content-Type': 'application/json' }, body as string | string[])
        expect((await client.response()).status).to.equal(500)
        expect(errors[0]).to.include({
          code: 'ERR_SLUICEWAY_BODY_ALREADY_READ',
          status: 500,
          message:
            'passthroughProxy: the request body was already read by another middleware; mount bodyCache() before it',
        })
        expect(upstream.accepted).to.equal(0)
      })
    }

    it('passes on what the parser did not read', async () => {
      const upstream = await scriptedUpstream()
      const { port } = await serve(express().use(express.json(), passthroughProxy(upstream.url)))
      const client = await RawClient.connect(port)
      client.request('POST', '/', { 'Content-Type': 'text/plain' }, 'text')
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\ntext')
      connection.write(answer())
      expect((await client.response()).status).to.equal(200)
      client.request('GET', '/')
      await connection.untilText('\r\n\r\n')
      connection.write(answer())
      expect((await client.response()).status).to.equal(200)
    })
  })
}
