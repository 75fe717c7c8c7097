import { once } from 'node:events'
import https from 'node:https'
import net, { type Socket } from 'node:net'
import tls from 'node:tls'
import { expect } from 'chai'
import express from 'express'
import { maxBytes, type MaxBytesOptions } from 'sluiceway/max-bytes'
import { asChunk, RawClient } from '../support/clients/raw-client.js'
import { closeServers, listen, serve } from '../support/servers/servers.js'
import { certificate, key } from '../support/servers/tls-certificate.js'
import { isThorough } from '../support/thorough.js'
import { deferred } from '../support/time/deferred.js'
import { passedTimers } from '../support/time/passed-timers.js'
import { IN_CHUNKS, limitedApp, WITH_LENGTH, writeThenRead } from './uploads.js'

const ROUNDS = isThorough ? 100 : 25

describe('maxBytes, when the client writes 10 MB before it reads', () => {
  afterEach(closeServers)

  const servers = {
    TCP: async () => (await serve(limitedApp())).port,
    TLS: async () => (await listen(https.createServer({ key, cert: certificate }, limitedApp()))).port,
  }
  const connect = {
    TCP: (port: number) => net.connect({ port, host: '127.0.0.1' }),
    TLS: (port: number) => tls.connect({ port, host: '127.0.0.1', ca: certificate }),
  }

  for (const transport of ['TCP', 'TLS'] as const) {
    for (const framing of [WITH_LENGTH, IN_CHUNKS]) {
      it(`delivers the 413 over ${transport}, ${framing}, ${ROUNDS} of ${ROUNDS}`, async function () {
        this.timeout(60_000)
        const port = await servers[transport]()
        const lines: string[] = []
        for (let round = 0; round < ROUNDS; round++)
          lines.push(await writeThenRead(connect[transport](port), framing))
        expect(lines).to.deep.equal(Array.from({ length: ROUNDS }, () => 'HTTP/1.1 413 Payload Too Large'))
      })
    }
  }
})

describe('maxBytes, with clients that cannot be served', () => {
  afterEach(closeServers)

  it('after lingerMs, cuts a client that sends a byte every 50 ms and never ends', async () => {
    const passed = passedTimers(300, 1000)
    const { connection, client } = await refused({ limit: 10, lingerMs: 300 })
    const drip = setInterval(() => client.write(asChunk('x')), 50)
    await once(connection, 'close')
    clearInterval(drip)
    expect(passed()).to.deep.equal([300])
  })

  it('after lingerMs, cuts a client that sends nothing more and never reads', async () => {
    const passed = passedTimers(300, 1000)
    const { connection, client } = await refused({ limit: 10, lingerMs: 300 }, { reads: false })
    await once(connection, 'close')
    expect(passed()).to.deep.equal([300])
    client.destroy()
  })

  for (const lingerBytes of [1024 * 1024, 16 * 1024 * 1024]) {
    it(`after ${lingerBytes} bytes, cuts a client that sends without end and never reads`, async () => {
      const bounds = { limit: 10, lingerMs: 10_000, lingerBytes }
      const { connection, client } = await refused(bounds, { reads: false })
      const send = (): void => {
        while (client.socket.writable && client.write(block));
      }
      client.socket.on('drain', send)
      send()
      await once(connection, 'close')
      expect(connection.bytesRead).to.be.within(lingerBytes, lingerBytes + 512 * 1024)
    })
  }
})

const block = asChunk(Buffer.alloc(64 * 1024))

/** A client whose body has just been refused, and the server's side of its connection. */
async function refused(
  options: MaxBytesOptions,
  { reads = true } = {},
): Promise<{ client: RawClient; connection: Socket }> {
  const reading = express()
    .set('env', 'test')
    .use(maxBytes(options), express.raw({ type: () => true }))
  const { promise: answered, resolve } = deferred()
  const { port, connections } = await serve((req, res) => reading(req, res.once('finish', resolve)))
  const client = await RawClient.connect(port)
  if (!reads) client.socket.pause()
  client.write(`POST / HTTP/1.1\r\nHost: a\r\n${IN_CHUNKS}\r\n\r\n`, asChunk('12345678901'))
  await answered
  if (reads) expect((await client.response()).status).to.equal(413)
  return { client, connection: connections[0]! }
}
