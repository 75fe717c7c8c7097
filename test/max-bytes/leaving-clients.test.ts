import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import express from 'express'
import { bodyCache, maxBytes } from 'sluiceway'
import { asChunk, lastChunk, RawClient } from '../support/clients/raw-client.js'
import { closed, openDescriptors } from '../support/process/open-resources.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { isThorough } from '../support/thorough.js'

const CLIENTS = isThorough ? 1000 : 100
const AT_ONCE = 20

const CHUNKED = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'
const TOO_MUCH = asChunk('12345678901')

/** How far a client gets before it leaves. */
interface Phase {
  readonly sent: readonly (string | Buffer)[]
  /** What it sends once it has the 413. */
  readonly rest?: string | Buffer
}

const phases: Record<string, Phase> = {
  'in the head': { sent: [CHUNKED.slice(0, 40)] },
  'before the body': { sent: [CHUNKED] },
  'in the body': { sent: [CHUNKED, asChunk('12345')] },
  'after a whole body': { sent: [CHUNKED, asChunk('12345'), lastChunk] },
  'past the limit': { sent: [CHUNKED, TOO_MUCH] },
  'with the 413 in hand': { sent: [CHUNKED, TOO_MUCH], rest: '' },
  'in the rest': { sent: [CHUNKED, TOO_MUCH], rest: asChunk('more'.repeat(1000)) },
  'after the rest': { sent: [CHUNKED, TOO_MUCH], rest: lastChunk },
}

const farewells: Record<string, (client: RawClient) => unknown> = {
  'with a reset': ({ socket }) => socket.resetAndDestroy(),
  'with an end': ({ socket }) => socket.destroySoon(),
}

describe(`maxBytes and bodyCache, when ${CLIENTS} clients leave`, () => {
  afterEach(closeServers)

  for (const [phase, { sent, rest }] of Object.entries(phases)) {
    for (const [how, farewell] of Object.entries(farewells)) {
      it(`leave no socket, error or rejection behind, ${phase}, ${how}`, async function () {
        this.timeout(30_000)
        const app = express().set('env', 'test').use(maxBytes(10), bodyCache())
        app.use(async (req, res) => void res.end(await text(req)))
        const { port, server, connections } = await serve(app)
        const clientErrors: unknown[] = []
        server.on('clientError', ({ code }: Error & { code?: string }, socket) => {
          socket.destroy()
          // Where a request is not over, these are Node's own, with and without middlewares. Behind a 413 there are none.
          const isNodes = rest === undefined && (code === 'ECONNRESET' || code === 'HPE_INVALID_EOF_STATE')
          if (!isNodes) clientErrors.push(code)
        })
        const before = openDescriptors()
        const leave = async (): Promise<void> => {
          const client = await RawClient.connect(port)
          await written(client, Buffer.concat(sent.map((part) => Buffer.from(part))))
          if (rest !== undefined) {
            expect((await client.response()).status).to.equal(413)
            await written(client, rest)
          }
          farewell(client)
        }
        for (let left = 0; left < CLIENTS; left += AT_ONCE)
          await Promise.all(Array.from({ length: AT_ONCE }, leave))
        // The kernel connects clients before the server has heard of them.
        while (connections.length < CLIENTS) await once(server, 'connection')
        await Promise.all(connections.map(closed))
        expect(clientErrors).to.deep.equal([])
        expect(openDescriptors()).to.be.at.most(before + 2)
      })
    }
  }
})

function written({ socket }: RawClient, bytes: string | Buffer): Promise<void> {
  return new Promise((resolve) => void socket.write(bytes, () => resolve()))
}
