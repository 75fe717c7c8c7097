import { createServer, type RequestListener, type ServerResponse } from 'node:http'
import { expect } from 'chai'
import type { RequestHandler } from 'express'
import { attach, autoFlush, maxBytes, passthroughProxy } from 'sluiceway'
import { upgradeTo } from '../support/clients/pipelined.js'
import { RawClient } from '../support/clients/raw-client.js'
import { expressVersions } from '../support/express/express-versions.js'
import { Observer } from '../support/observed.js'
import { closeServers, listen } from '../support/servers/servers.js'

/** What no type allows, and JavaScript does: each would count as true, or as an option that was not given. */
const promised: Record<string, () => never> = {
  'a promise': () => Promise.resolve(false) as never,
  'a promise that rejects': () => Promise.reject(new Error('rejected')) as never,
}

for (const { name, express } of expressVersions) {
  describe(`an option that is asked for each request, and returns a promise (${name})`, () => {
    let observer: Observer
    beforeEach(() => {
      observer = new Observer()
    })
    afterEach(async () => {
      observer.end()
      await closeServers()
    })

    /** An app whose page for an error is the error, with its cause. */
    function appWith(...steps: readonly RequestHandler[]): RequestListener {
      const app = express().set('env', 'test')
      for (const step of steps) app.use(step)
      app.use((error: Error, _req: unknown, res: ServerResponse, _next: unknown) => {
        const { message } = (error.cause ?? error) as Error
        res.statusCode = 500
        res.end(message)
      })
      return app as RequestListener
    }

    async function answerTo(app: RequestListener, request: string): Promise<string> {
      const client = await RawClient.connect((await listen(createServer(app))).port)
      client.write(request)
      const { status, body } = await client.response()
      client.destroy()
      return `${status} ${body.toString()}`
    }

    const post = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx'

    for (const [what, option] of Object.entries(promised)) {
      const expected = (named: string): RegExp =>
        new RegExp(`^500 ${named} must return its result at once, and not a promise `)

      it(`is a 500 that names "limit", for ${what}`, async () => {
        expect(await answerTo(appWith(maxBytes(option)), post)).to.match(expected('maxBytes: option "limit"'))
      })

      it(`is a 500 that names "path", for ${what}`, async () => {
        const proxy = passthroughProxy('http://127.0.0.1:1', { path: option })
        expect(await answerTo(appWith(proxy), post)).to.match(expected('passthroughProxy: option "path"'))
      })

      it(`is an exception for the handler, which names "filter", for ${what}`, async () => {
        const app = appWith(autoFlush({ filter: option }), (_req, res) => {
          res.write('never')
        })
        expect(await answerTo(app, post)).to.match(expected('autoFlush: option "filter"'))
      })

      it(`is a 500 that names "upgrade", and is published, for ${what}`, async () => {
        const contained = observer.messages('sluiceway:contained')
        const app = appWith()
        const server = createServer(app)
        server.on('upgrade', (_req, socket) => void socket.end('HTTP/1.1 200 OK\r\n\r\n'))
        attach(server, app, { upgrade: option })
        const client = await RawClient.connect((await listen(server)).port)
        client.write(upgradeTo('websocket', '/'))
        const { status, body } = await client.response()
        // The page of Express itself, which is HTML.
        expect(`${status} ${body.toString()}`)
          .to.match(/^500 /)
          .and.contain('attach: option &quot;upgrade&quot; must return its result at once')
        await client.closed()
        expect(contained).to.have.length(1)
      })
    }
  })
}
