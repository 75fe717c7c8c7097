import { AsyncLocalStorage } from 'node:async_hooks'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setImmediate as immediate } from 'node:timers/promises'
import { expect } from 'chai'
import { cut, message, transports, upgradeTo } from '../support/clients/pipelined.js'
import type { RawClient } from '../support/clients/raw-client.js'
import { closeServers, type TestServer } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { until } from '../support/time/until.js'
import { happened, waitFor } from '../support/time/waiting.js'

/** The number of bytes that are announced, and sent, before the answer ends. */
const COUNTED = 10

const UPGRADE = upgradeTo('websocket', '/')

for (const { name, serve, connect } of transports) {
  describe(`attach with an app that does not decide on an upgrade at once (${name})`, () => {
    let server: TestServer
    let client: RawClient
    /** The answer that a test ends itself. */
    let pending: ServerResponse | undefined
    let exchange: Promise<[IncomingMessage, ServerResponse]>

    beforeEach(async () => {
      const arrived = deferred<[IncomingMessage, ServerResponse]>()
      exchange = arrived.promise
      server = await serve((req, res) => {
        pending = res
        if (req.url === '/large') res.end(Buffer.alloc(4_000_000))
        // More than the kernel ever holds of a connection that its client does not read.
        else if (req.url === '/huge') res.end(Buffer.alloc(64_000_000))
        else if (req.url === '/begun') res.write('begun')
        else if (req.url === '/waiting') return
        else if (req.url === '/counted') res.setHeader('Content-Length', COUNTED).write(Buffer.alloc(COUNTED))
        else arrived.resolve([req, res])
      })
      client = await connect(server.port)
    })
    afterEach(() => client.destroy())
    afterEach(closeServers)

    for (const [when, early] of [
      ['', []],
      [', with bytes right after the head', [`${UPGRADE}early`]],
      [', with bytes after it', [UPGRADE, 'early']],
      [', with many bytes after it', [UPGRADE, 'early'.repeat(2000)]],
    ] as [string, string[]][]) {
      it(`notices when the client cuts the connection${when}`, async () => {
        const [first = UPGRADE, ...rest] = early
        client.write(first)
        const [req, res] = await exchange
        const closing = once(res, 'close')
        for (const bytes of rest) {
          const before = req.socket.bytesRead
          client.write(bytes)
          while (req.socket.bytesRead === before) await immediate()
        }
        cut(client)
        await waitFor('the response to be closed', closing)
        expect(res.writableFinished).to.equal(false)
        expect(req.socket.destroyed).to.equal(true)
      })
    }

    it('gives the early bytes to the handler that takes the connection over', async () => {
      client.write(UPGRADE)
      const [{ socket }] = await waitFor('the app to be asked', exchange)
      client.write('early')
      await until(() => socket.readableFlowing && socket.bytesRead > 0, 'the early bytes to arrive')
      await immediate()
      socket.on('data', (chunk) => socket.end(`got ${String(chunk)}`))
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

    it('waits for an answer that has ended but has not reached the client yet', async () => {
      client.write(message('GET /large HTTP/1.1', 'Host: test'), UPGRADE)
      expect((await client.response()).body.length).to.equal(4_000_000)
      const [, res] = await exchange
      res.writeHead(101, { Upgrade: 'websocket', Connection: 'Upgrade' }).flushHeaders()
      expect((await client.response()).status).to.equal(101)
    })

    it('waits for an answer that the client has whole before the app has ended it', async () => {
      client.write(message('GET /counted HTTP/1.1', 'Host: test'))
      expect((await client.response()).body.length).to.equal(COUNTED)
      client.write(UPGRADE)
      await once(server.server, 'upgrade')
      pending!.end()
      const [, res] = await exchange
      res.writeHead(101, { Upgrade: 'websocket', Connection: 'Upgrade' }).flushHeaders()
      expect((await client.response()).status).to.equal(101)
    })

    it('waits for the second of two answers to requests that came at once', async () => {
      const [large, waiting] = ['/large', '/waiting'].map((path) =>
        message(`GET ${path} HTTP/1.1`, 'Host: test'),
      )
      client.write(large!, waiting!)
      expect((await client.response()).body.length).to.equal(4_000_000)
      client.write(UPGRADE)
      await happened('the server', server.server, 'upgrade')
      pending!.end('second')
      expect(String((await client.response()).body)).to.equal('second')
      const [, res] = await waitFor('the app to be asked', exchange)
      res.writeHead(426).end()
      await client.untilText('426')
    })

    it('waits until an answer in progress has been written to its end', async () => {
      client.write(message('GET /begun HTTP/1.1', 'Host: test'))
      await client.untilText('begun')
      client.write(UPGRADE)
      await happened('the server', server.server, 'upgrade')
      const begun = pending!
      while (begun.write(Buffer.alloc(100_000)));
      await happened('the answer in progress', begun, 'drain')
      begun.end('over')
      await client.untilText('over')
      const [, res] = await waitFor('the app to be asked', exchange)
      res.writeHead(426).end()
      await client.untilText('426')
    })

    it('aborts the request in progress whose client cuts the connection with an upgrade behind it', async () => {
      client.write(message('GET /begun HTTP/1.1', 'Host: test'))
      await client.untilText('begun')
      const { req } = pending!
      const aborting = once(req, 'aborted')
      const failing = new Promise((resolve) => void req.once('error', resolve))
      const closing = once(pending!, 'close')
      client.write(UPGRADE)
      await once(server.server, 'upgrade')
      cut(client)
      await waitFor('the request to be aborted, and the response closed', Promise.all([aborting, closing]))
      // As Node does it itself.
      expect(await failing).to.include({ message: 'aborted', code: 'ECONNRESET' })
      expect(req.destroyed).to.equal(true)
    })

    it('closes the connection after an answer in progress that says Connection: close', async () => {
      client.write(message('GET /waiting HTTP/1.1', 'Host: test'), UPGRADE)
      await once(server.server, 'upgrade')
      pending!.setHeader('Connection', 'close').end('the last')
      expect(String((await client.response()).body)).to.equal('the last')
      await client.closed()
      expect(await Promise.race([exchange, immediate('not asked')])).to.equal('not asked')
    })

    it('forgets an upgrade whose client leaves before it has that answer', async () => {
      client.socket.pause()
      client.write(message('GET /huge HTTP/1.1', 'Host: test'), UPGRADE)
      while (server.server.listenerCount('upgrade') === 0) await immediate()
      const upgraded = once(server.server, 'upgrade')
      const [, socket] = (await upgraded) as [IncomingMessage, RawClient['socket']]
      client.socket.destroy()
      if (!socket.closed) await new Promise<void>((resolve) => void socket.once('close', () => resolve()))
      expect(await Promise.race([exchange, immediate('not asked')])).to.equal('not asked')
    })
  })
}

describe('the async context of an upgrade that has waited for an answer', () => {
  afterEach(closeServers)

  for (const { name, serve, connect } of transports) {
    it(`is not that of the request before it (${name})`, async () => {
      const users = new AsyncLocalStorage<string>()
      const found: unknown[] = []
      const { port } = await serve((req, res) => {
        found.push([req.url, users.getStore()])
        users.run('ada', () => setImmediate(() => res.end('over')))
      })
      const client = await connect(port)
      client.write(message('GET /waiting HTTP/1.1', 'Host: test'), UPGRADE)
      await client.closed()
      expect(found).to.deep.equal([
        ['/waiting', undefined],
        ['/', undefined],
      ])
    })
  }
})
