import { execFile } from 'node:child_process'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { LookupFunction } from 'node:net'
import { promisify } from 'node:util'
import { expect } from 'chai'
import type { RawClient } from '../../../support/clients/raw-client.js'
import { createClient, type Upstream } from '../../../support/http1/http1-client.js'
import { ask } from '../../../support/http1/upstream-receiver.js'
import { collectedBytes } from '../../../support/process/memory.js'
import { root } from '../../../support/repository/repository.js'
import { answer, type ScriptedUpstream } from '../../../support/servers/scripted-upstream.js'
import { serve } from '../../../support/servers/servers.js'
import { MockedClock } from '../../../support/time/mocked-clock.js'
import { giveEach, ofOne, usedConnection, turn } from './asked.js'

describe("the pool of the proxy's own client, with idle connections", () => {
  let server: ScriptedUpstream
  let upstream: Upstream
  let origin: string

  const clock = new MockedClock()
  afterEach(() => clock.restore())
  giveEach(ofOne, (given) => ({ server, origin, upstream } = given))

  const used = (): Promise<RawClient> => usedConnection(upstream, server, origin)

  it('first uses the connection that was used last', async () => {
    clock.stop()
    const two = createClient({ ...ofOne, maxConnections: 2 })
    const both = [ask(two, { origin }), ask(two, { origin })]
    const [a, b] = [await server.connection(), await server.connection()]
    for (const connection of [a, b]) {
      await connection.untilText('\r\n\r\n')
      connection.write(answer())
      await Promise.race(both.map((got) => got.ended()))
      await turn()
    }
    await Promise.all(both.map((got) => got.ended()))
    await turn()
    const next = ask(two, { origin, path: '/next' })
    await b.untilText('GET /next ')
    b.write(answer())
    await next.ended()
    two.close()
  })

  it('closes idle connections when it is closed, and keeps none of the requests that follow', async () => {
    const connection = await used()
    upstream.close()
    await connection.closed()
    await (await used()).closed()
  })

  it('closes idle connections when it is closed, even if it was unused for a while before', async () => {
    clock.stop()
    const before = await used()
    await clock.pass(4000)
    await before.closed()
    await turn()
    await clock.pass(4000)
    const connection = await used()
    upstream.close()
    await connection.closed()
  })

  it('leaves nothing after its idle time', async function () {
    this.timeout(20_000)
    const handler = (req: IncomingMessage, res: ServerResponse): void => {
      if (req.url === '/long') res.setHeader('Keep-Alive', 'timeout=60')
      res.end('ok')
    }
    const servers = await Promise.all(Array.from({ length: 100 }, () => serve(handler)))
    const before = process.getActiveResourcesInfo().filter((name) => name !== 'Immediate')
    for (let round = 0; round < 10; round++) {
      await Promise.all(servers.map(({ url }) => ask(upstream, { origin: url }).ended()))
      await turn()
    }
    const open = servers.flatMap(({ connections }) => connections)
    expect(open).to.have.length(100)
    await Promise.all(open.map((socket) => (socket.closed ? Promise.resolve() : once(socket, 'close'))))
    await turn()
    expect(process.getActiveResourcesInfo().filter((name) => name !== 'Immediate')).to.have.length.at.most(
      before.length,
    )
    // The next request to the last of these origins opens a new pool, which close() ends.
    const { url, connections, server: last } = servers.at(-1)!
    last.keepAliveTimeout = 0
    await ask(upstream, { origin: url, path: '/long' }).ended()
    await turn()
    upstream.close()
    await once(connections.at(-1)!, 'close')
  })

  it('is released after its idle time, whichever side has closed the connections', async function () {
    this.timeout(20_000)
    const { port } = await serve((req, res) => {
      res.shouldKeepAlive = req.url === '/keep'
      if (req.url === '/keep') res.setHeader('Keep-Alive', 'timeout=2')
      res.end('ok')
    })
    /** Something that only the pool of one client holds on to. */
    const held = async (path: string): Promise<WeakRef<object>> => {
      const lookup: LookupFunction = (_name, _options, callback) =>
        callback(null, [{ address: '127.0.0.1', family: 4 }])
      const client = createClient({ ...ofOne, connect: { lookup, autoSelectFamily: true } })
      await ask(client, { origin: `http://localhost:${port}`, path }).ended()
      return new WeakRef(lookup)
    }
    const all = [await held('/keep'), await held('/close')]
    await collectedBytes()
    expect(all.map((one) => one.deref() !== undefined)).to.deep.equal([true, true])
    for (const one of all) {
      while (one.deref() !== undefined) {
        await new Promise((resolve) => setTimeout(resolve, 200))
        await collectedBytes()
      }
    }
  })

  it('is released after its idle time if its only request could not be sent', async function () {
    this.timeout(20_000)
    const held = async (): Promise<WeakRef<object>> => {
      const lookup: LookupFunction = () => {}
      const client = createClient({ ...ofOne, connect: { lookup } })
      expect(await ask(client, { origin, path: '/a b' }).failed()).to.include({ kind: 'unsendable' })
      return new WeakRef(lookup)
    }
    const lookup = await held()
    while (lookup.deref() !== undefined) {
      await new Promise((resolve) => setTimeout(resolve, 200))
      await collectedBytes()
    }
  })

  it('closes a connection a second before its server does', async () => {
    clock.stop()
    const got = ask(upstream, { origin })
    const connection = await server.connection()
    await connection.untilText('\r\n\r\n')
    connection.write('HTTP/1.1 200 OK\r\nKeep-Alive: timeout=2\r\nContent-Length: 0\r\n\r\n')
    await got.ended()
    await turn()
    await clock.pass(999)
    expect(connection.socket.readableEnded).to.equal(false)
    await clock.pass(1)
    await connection.closed()
  })

  for (const times of [
    [60, 2],
    [2, 60],
  ]) {
    it(`closes each connection at its own time, after ${times.join(' and ')} seconds`, async () => {
      clock.stop()
      const two = createClient({ ...ofOne, maxConnections: 2 })
      const both = [ask(two, { origin }), ask(two, { origin })]
      const connections = [await server.connection(), await server.connection()]
      for (const [index, connection] of connections.entries()) {
        await connection.untilText('\r\n\r\n')
        const hint = `Keep-Alive: timeout=${times[index]}`
        connection.write(`HTTP/1.1 200 OK\r\n${hint}\r\nContent-Length: 0\r\n\r\n`)
        await Promise.race(both.map((got) => got.ended()))
        await turn()
      }
      const [short, long] = times[0] === 2 ? connections : connections.toReversed()
      await clock.pass(1000)
      await short!.closed()
      expect(long!.socket.readableEnded).to.equal(false)
      two.close()
      await long!.closed()
    })
  }

  it('keeps a process alive during a request over a kept connection, but not after it', async () => {
    const connection = await used()
    const idle = aliveBySockets()
    const got = ask(upstream, { origin })
    await connection.untilText('\r\n\r\n')
    expect(aliveBySockets()).to.equal(idle + 1)
    connection.write(answer())
    await got.ended()
    await turn()
    expect(aliveBySockets()).to.equal(idle)
  })

  it('does not keep a process alive with idle connections', async function () {
    this.timeout(60_000)
    const { url } = await serve((_req, res) => res.setHeader('Keep-Alive', 'timeout=60').end('ok'))
    const program = `
      const { createClient } = await import('${root}/dist/esm/passthrough-proxy/upstream/http1/client.js')
      const client = createClient(${JSON.stringify(ofOne)})
      const request = { origin: '${url}', method: 'GET', path: '/', lines: [], body: null, headersTimeoutMs: 60_000 }
      const onEnd = () => console.log('ended')
      client.send(request, { onSending() {}, onHead() {}, onEnd, onFailure: console.error })`
    const started = performance.now()
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program])
    expect(stdout).to.equal('ended\n')
    // The connection is kept for a minute.
    expect(performance.now() - started).to.be.below(30_000)
  })
})

/** Counts the sockets that keep this process alive. */
function aliveBySockets(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length
}
