import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import express from 'express'
import { bodyCache, maxBytes } from 'sluiceway'
import { closed, openDescriptors } from '../support/open-resources.js'
import { asChunk, RawClient } from '../support/raw-client.js'
import { closeServers, serve } from '../support/servers.js'

const CHUNKED = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'

/** What a client has sent when it leaves. */
const phases: Record<string, readonly (string | Buffer)[]> = {
  'in the head': [CHUNKED.slice(0, 40)],
  'before the body': [CHUNKED],
  'in the body': [CHUNKED, asChunk('12345')],
  'past the limit': [CHUNKED, asChunk('12345678901')],
  'in the rest': [CHUNKED, asChunk('12345678901'), asChunk('more'.repeat(1000))],
}

describe('maxBytes and bodyCache, when clients leave', () => {
  afterEach(closeServers)

  for (const [phase, parts] of Object.entries(phases)) {
    it(`leave no socket, error or rejection behind after 200 that left ${phase}`, async function () {
      this.timeout(30_000)
      const app = express().set('env', 'test').use(maxBytes(10), bodyCache())
      app.use(async (req, res) => void res.end(await text(req)))
      const { port, server, connections } = await serve(app)
      const parseErrors: Error[] = []
      server.on('clientError', (error: Error & { code?: string }, socket) => {
        socket.destroy()
        // A half request that ends is one for Node itself; bytes we threw away are not.
        if (error.code !== 'HPE_INVALID_EOF_STATE' && error.code !== 'ECONNRESET') parseErrors.push(error)
      })
      const before = openDescriptors()
      for (let round = 0; round < 20; round++)
        await Promise.all(Array.from({ length: 10 }, () => leave(port, parts)))
      await Promise.all(connections.map(closed))
      expect(parseErrors).to.deep.equal([])
      expect(openDescriptors()).to.be.at.most(before + 5)
    })
  }
})

async function leave(port: number, parts: readonly (string | Buffer)[]): Promise<void> {
  const client = await RawClient.connect(port)
  await new Promise<void>((resolve) => {
    client.socket.write(Buffer.concat(parts.map((part) => Buffer.from(part))), () => resolve())
  })
  client.socket.resetAndDestroy()
}
