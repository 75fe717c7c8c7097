import type { IncomingMessage, ServerResponse } from 'node:http'

import { expect } from 'chai'
import { autoFlush, bodyCache, maxBytes } from 'sluiceway'

import { expressVersions } from '../support/express-versions.js'
import { haveSameClass, isFast } from '../support/hidden-classes.js'
import { RawClient } from '../support/raw-client.js'
import { closeServers, serve } from '../support/servers.js'

interface Exchange {
  readonly req: IncomingMessage
  readonly res: ServerResponse
}

const middlewares = { bodyCache: bodyCache(), maxBytes: maxBytes('1mb'), autoFlush: autoFlush() }

describe('the hidden classes of V8', () => {
  afterEach(closeServers)

  for (const { name, express } of expressVersions) {
    for (const [middleware, handler] of Object.entries(middlewares)) {
      it(`are shared by the requests and responses of ${name} behind ${middleware}`, async () => {
        const seen: Exchange[] = []
        const answer = (req: IncomingMessage, res: ServerResponse): void => {
          seen.push({ req, res })
          res.end('done')
        }
        const { port } = await serve(express().use(handler, express.text(), answer))
        const client = await RawClient.connect(port)
        for (let sent = 0; sent < 3; sent++) {
          client.request('POST', '/', { 'Content-Type': 'text/plain' }, 'body')
          await client.response()
        }
        client.destroy()
        // V8 caches the classes of dictionaries in a table whose places two of them may share.
        const shared = (of: 'req' | 'res'): boolean =>
          seen.slice(2).every((one, i) => !isFast(one[of]) || haveSameClass(one[of], seen[i + 1]![of]))
        expect({ requests: shared('req'), responses: shared('res') }).to.deep.equal({
          requests: true,
          responses: true,
        })
      })
    }
  }
})
