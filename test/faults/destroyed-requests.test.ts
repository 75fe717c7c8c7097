import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { PassThrough, pipeline } from 'node:stream'
import { expect } from 'chai'
import { bodyCache, maxBytes, passthroughProxy, type SluicewayError } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { closeServers, serve } from '../support/servers/servers.js'

/* Both ways take the socket from the request, and leave its connection open for the answer. */
const ways: Record<string, (req: IncomingMessage) => Promise<unknown>> = {
  'a loop that is left': async (req) => {
    for await (const _chunk of req) break
  },
  'a pipeline that fails': (req) =>
    new Promise<void>((resolve) => {
      const destination = new PassThrough()
      pipeline(req, destination, () => resolve())
      destination.destroy(new Error('failed'))
    }),
}

describe('a request that was destroyed before', () => {
  afterEach(closeServers)

  async function ask(handler: RequestListener, length: number): Promise<number> {
    const client = await RawClient.connect((await serve(handler)).port)
    client.request('POST', '/', {}, 'x'.repeat(length))
    return (await client.response()).status
  }

  const front = (
    spoil: (req: IncomingMessage) => Promise<unknown>,
    middleware: (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void,
  ): RequestListener => {
    return (req, res) => {
      const next = (error?: unknown): void => {
        res.writeHead((error as Partial<SluicewayError> | undefined)?.status ?? 200).end()
      }
      void spoil(req).then(() => middleware(req, res, next))
    }
  }

  for (const [what, spoil] of Object.entries(ways)) {
    for (const length of [1, 500_000]) {
      it(`by ${what} is answered behind each middleware (${length} bytes)`, async () => {
        expect(await ask(front(spoil, bodyCache()), length)).to.equal(500)
        expect(await ask(front(spoil, maxBytes('1mb')), length)).to.equal(200)
        expect(await ask(front(spoil, maxBytes(1)), length)).to.equal(length > 1 ? 413 : 200)
        expect(await ask(front(spoil, passthroughProxy('http://127.0.0.1:9')), length)).to.equal(500)
      })

      it(`by ${what} in onRequest is proxied with a body of the hook (${length} bytes)`, async () => {
        const upstream = await serve((req, res) => void req.resume().on('end', () => res.end()))
        const proxy = passthroughProxy(upstream.url, {
          async onRequest(outgoing, req) {
            await spoil(req)
            outgoing.body = 'of the hook'
          },
        })
        expect(
          await ask(
            front(async () => {}, proxy),
            length,
          ),
        ).to.equal(200)
      })
    }
  }
})
