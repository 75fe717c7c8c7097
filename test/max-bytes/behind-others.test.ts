import type { ServerResponse } from 'node:http'
import { expect } from 'chai'
import { bodyCache, maxBytes } from 'sluiceway'
import { asChunk, RawClient } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { happened, waitFor } from '../support/time/waiting.js'

const LARGE = 8_000_000
const STREAM = 'GET /stream HTTP/1.1\r\nHost: a\r\n\r\n'
const refused: Record<string, string> = {
  'announced as too large': `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${LARGE + 1}\r\n\r\n`,
  'found to be too large': `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n800\r\n${'x'.repeat(2048)}\r\n`,
}
const farewells: Record<string, (client: RawClient) => unknown> = {
  'ends its half of the connection': ({ socket }) => socket.end(),
  'closes the connection': ({ socket }) => socket.destroy(),
  'resets the connection': ({ socket }) => socket.resetAndDestroy(),
}

describe('a body that is too large, after the head of its own response', () => {
  afterEach(closeServers)

  it('closes a response that does not end when the client leaves after a large part of the body', async () => {
    const begun = deferred<ServerResponse>()
    const begin: Handler = (req, res) => {
      req.on('error', () => {}).resume()
      res.write('begin')
      begun.resolve(res)
    }
    const { port } = await serve(hosts[0]!.mount(maxBytes('1kb'), begin))
    const client = await RawClient.connect(port)
    client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
    const response = await waitFor('the app to be asked', begun.promise)
    client.write(asChunk('x'.repeat(LARGE)))
    client.socket.end()
    if (!response.closed) await happened('the response', response, 'close')
    client.destroy()
  })
})

for (const { name, mount } of hosts) {
  for (const [what, body] of Object.entries(refused)) {
    describe(`a body ${what}, behind a response in progress, on ${name}`, () => {
      afterEach(closeServers)

      async function sendBoth(): Promise<{
        client: RawClient
        stream: ServerResponse
        refusal: Promise<unknown>
      }> {
        const begun = deferred<ServerResponse>()
        const refusal = deferred<unknown>()
        const stream: Handler = (req, res, next) => {
          if (req.url !== '/stream') return req.on('error', refusal.resolve).resume() && next()
          res.write('begin')
          return begun.resolve(res)
        }
        const limit: Handler = (req, res, next) =>
          maxBytes('1kb')(req, res, (error) => {
            if (error !== undefined) refusal.resolve(error)
            next(error)
          })
        const { port } = await serve(mount(limit, bodyCache(), stream, () => {}))
        const client = await RawClient.connect(port)
        client.write(STREAM, body)
        return { client, stream: await begun.promise, refusal: refusal.promise }
      }

      for (const [how, leave] of Object.entries(farewells)) {
        it(`closes the response in progress when the client ${how}`, async () => {
          const { client, stream, refusal } = await sendBoth()
          await waitFor('the request to be told that it is refused', refusal)
          await client.untilText('begin')
          leave(client)
          if (!stream.closed) await happened('the response in progress', stream, 'close')
          client.destroy()
        })
      }

      it('closes the response in progress when the client leaves after a large part of the body', async () => {
        const { client, stream, refusal } = await sendBoth()
        await waitFor('the request to be told that it is refused', refusal)
        await client.untilText('begin')
        // More than a connection holds that is not read.
        client.write(what.startsWith('found') ? asChunk('x'.repeat(LARGE)) : 'x'.repeat(LARGE))
        client.socket.end()
        if (!stream.closed) await happened('the response in progress', stream, 'close')
        client.destroy()
      })

      it('gets its 413 once its turn has come', async () => {
        const { client, stream, refusal } = await sendBoth()
        await waitFor('the request to be told that it is refused', refusal)
        stream.end()
        expect((await client.response()).status).to.equal(200)
        const { status, headers } = await client.response()
        expect([status, headers['connection']]).to.deep.equal([413, ['close']])
        client.destroy()
      })
    })
  }
}
