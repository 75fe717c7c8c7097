import net from 'node:net'
import { expect } from 'chai'
import express from 'express'
import { maxBytes, type MaxBytesOptions } from 'sluiceway/max-bytes'
import { closeServers, serve } from '../support/servers/servers.js'
import { slowLink } from '../support/servers/slow-link.js'
import { writeAndRead, writeThenRead } from './uploads.js'

const CLIENTS = 50

/** Starts a server, and lets all clients send 10 MB at once, each through its own slow link. */
async function statusLines(
  options: MaxBytesOptions,
  send: (socket: net.Socket) => Promise<string>,
): Promise<string[]> {
  const app = express().set('env', 'test')
  const { port } = await serve(app.use(maxBytes(options), express.raw({ type: () => true, limit: '1gb' })))
  const clients = Array.from({ length: CLIENTS }, async () => {
    const link = await slowLink(port, { delayMs: 100, bytesPerSecond: 1_000_000 })
    return send(net.connect({ port: link.port, host: '127.0.0.1' }))
  })
  return Promise.all(clients)
}

function expectDelivered(lines: readonly string[]): void {
  const delivered = lines.filter((line) => line === 'HTTP/1.1 413 Payload Too Large')
  console.log(`      delivered: ${delivered.length} of ${lines.length}`)
  expect(delivered).to.have.length(lines.length)
}

describe('maxBytes, over links of 100 ms delay and 1 MB/s', function () {
  this.timeout(60_000)
  afterEach(closeServers)

  it('delivers the 413 to clients that read while they write 10 MB', async () => {
    expectDelivered(await statusLines({ limit: '100kb' }, writeAndRead))
  })

  it('delivers it to clients that write 10 MB before they read, with a lingerMs that is long enough', async () => {
    expectDelivered(await statusLines({ limit: '100kb', lingerMs: 20_000 }, writeThenRead))
  })
})
