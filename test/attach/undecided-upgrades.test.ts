import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setImmediate as immediate } from 'node:timers/promises'

import { expect } from 'chai'

import { deferred } from '../support/deferred.js'
import { message, transports, upgradeTo } from '../support/pipelined.js'
import type { RawClient } from '../support/raw-client.js'
import { closeServers, type TestServer } from '../support/servers.js'

const UPGRADE = upgradeTo('websocket', '/')

for (const { name, serve, connect } of transports) {
  describe(`attach with an app that takes its time over an upgrade (${name})`, () => {
    let server: TestServer
    let client: RawClient
    let exchange: Promise<[IncomingMessage, ServerResponse]>

    beforeEach(async () => {
      const arrived = deferred<[IncomingMessage, ServerResponse]>()
      exchange = arrived.promise
      server = await serve((req, res) => {
        if (req.url === '/large') res.end(Buffer.alloc(20_000_000))
        else arrived.resolve([req, res])
      })
      client = await connect(server.port)
    })
    afterEach(() => client.destroy())
    afterEach(closeServers)

    for (const [when, early] of [
      ['', []],
      [', with bytes right behind the head', [`${UPGRADE}early`]],
      [', with bytes behind it', [UPGRADE, 'early']],
      [', with many bytes behind it', [UPGRADE, 'early'.repeat(2000)]],
    ] as [string, string[]][]) {
      for (const [way, leave] of [
        ['ends its side', (): void => void client.socket.end()],
        // Over TLS there is no reset.
        ['cuts the connection', (): void => void client.socket[name === 'http' ? 'resetAndDestroy' : 'destroy']()],
      ] as const) {
        it(`notices when the client ${way}${when}`, async () => {
          const [first = UPGRADE, ...rest] = early
          client.write(first)
          const [req, res] = await exchange
          const closing = once(res, 'close')
          for (const bytes of rest) {
            const before = req.socket.bytesRead
            client.write(bytes)
            while (req.socket.bytesRead === before) await immediate()
          }
          leave()
          await closing
          expect(res.writableFinished).to.equal(false)
          expect(req.socket.destroyed).to.equal(true)
        })
      }
    }

    it('gives the early bytes to the handler that takes the connection over', async () => {
      client.write(UPGRADE)
      const [{ socket }] = await exchange
      client.write('early')
      while (!socket.readableFlowing || socket.bytesRead === 0) await immediate()
      await immediate()
      socket.on('data', (chunk) => socket.end(`got ${chunk}`))
      await client.untilText('got early')
    })

    it("emits 'drain' once for each buffer that was full, and needs none after that", async () => {
      client.write(UPGRADE)
      const [, res] = await exchange
      client.socket.pause()
      let drains = 0
      res.on('drain', () => drains++)
      while (res.write('x'.repeat(100_000)));
      expect(res.writableNeedDrain).to.equal(true)
      client.socket.resume()
      await once(res, 'drain')
      expect(res.writableNeedDrain).to.equal(false)
      await new Promise((resolve) => res.write('x', resolve))
      expect(drains).to.equal(1)
      res.end()
      expect((await client.response()).status).to.equal(200)
    })

    it('waits for an answer that has ended and is not with the client yet', async () => {
      client.write(message('GET /large HTTP/1.1', 'Host: test'), UPGRADE)
      expect((await client.response()).body.length).to.equal(20_000_000)
      const [, res] = await exchange
      res.writeHead(101, { Upgrade: 'websocket', Connection: 'Upgrade' }).flushHeaders()
      expect((await client.response()).status).to.equal(101)
    })

    it('forgets an upgrade whose client leaves before that answer is with it', async () => {
      client.socket.pause()
      client.write(message('GET /large HTTP/1.1', 'Host: test'), UPGRADE)
      while (server.server.listenerCount('upgrade') === 0) await immediate()
      const upgraded = once(server.server, 'upgrade')
      const [, socket] = (await upgraded) as [IncomingMessage, RawClient['socket']]
      client.socket.destroy()
      if (!socket.closed) await new Promise<void>((resolve) => void socket.once('close', () => resolve()))
      expect(await Promise.race([exchange, immediate('not asked')])).to.equal('not asked')
    })
  })
}
