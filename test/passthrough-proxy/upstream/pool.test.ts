import { execFile } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import type { LookupFunction } from 'node:net'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { type ClientOptions, createClient, type Upstream } from '../../support/http1-client.js'
import { collectedBytes } from '../../support/memory.js'
import type { RawClient } from '../../support/raw-client.js'
import { root } from '../../support/repository.js'
import { answer, scriptedUpstream, type ScriptedUpstream } from '../../support/scripted-upstream.js'
import { turns } from '../../fuzz/wire.js'
import { closeServers, serve } from '../../support/servers.js'
import { ask, type RecordingReceiver } from '../../support/upstream-receiver.js'

const settings: ClientOptions = { maxConnections: 1, connectTimeoutMs: 2000, maxResponseHeadBytes: 16_384 }
/** Waits some turns of the event loop: a connection is checked once more after an answer before it is reused. */
const turn = (): Promise<void> => turns(3)

describe("the pool of the proxy's own client", () => {
  let server: ScriptedUpstream
  let upstream: Upstream
  let origin: string

  beforeEach(async () => {
    server = await scriptedUpstream()
    origin = server.url
    upstream = createClient(settings)
  })
  afterEach(() => upstream.close())
  afterEach(closeServers)

  /** A connection that has carried a request. */
  async function used(): Promise<RawClient> {
    const got = ask(upstream, { origin })
    const connection = await server.connection()
    await connection.untilText('\r\n\r\n')
    connection.write(answer())
    await got.ended()
    await turn()
    return connection
  }

  it('makes requests wait in order, and refuses those for which there is no place', async () => {
    const first = ask(upstream, { origin, path: '/1' })
    const connection = await server.connection()
    const second = ask(upstream, { origin, path: '/2', maxQueue: 2 })
    const third = ask(upstream, { origin, path: '/3', maxQueue: 2 })
    const fourth = ask(upstream, { origin, path: '/4', maxQueue: 2 })
    expect(await fourth.failed()).to.include({ kind: 'queue-full', maybeHeard: false })
    for (const [index, got] of [first, second, third].entries()) {
      await connection.untilText(`GET /${index + 1} `)
      await connection.untilText('\r\n\r\n')
      connection.write(answer(String(index + 1)))
      expect((await got.ended()).body).to.equal(String(index + 1))
    }
    expect(server.accepted).to.equal(1)
  })

  it('frees the place of a request that leaves the queue', async () => {
    const first = ask(upstream, { origin })
    const connection = await server.connection()
    const second = ask(upstream, { origin, maxQueue: 1 })
    second.waiting.abandon()
    const third = ask(upstream, { origin, path: '/3', maxQueue: 1 })
    await connection.untilText('\r\n\r\n')
    connection.write(answer())
    await first.ended()
    await connection.untilText('GET /3 ')
    connection.write(answer())
    await third.ended()
    expect(second.events).to.deep.equal([])
  })

  it('opens another connection for the queue when one is lost', async () => {
    const first = ask(upstream, { origin })
    const second = ask(upstream, { origin, path: '/2' })
    const connection = await server.connection()
    await connection.untilText('\r\n\r\n')
    connection.destroy()
    await first.failed()
    const next = await server.connection()
    await next.untilText('GET /2 ')
    next.write(answer())
    await second.ended()
  })

  it('gives up a connection for which no request waits any more', async () => {
    const got = ask(upstream, { origin })
    got.waiting.abandon()
    const next = ask(upstream, { origin })
    const connections = await Promise.all([server.connection(), next.until('sending')])
    expect(connections).to.have.length(2)
    expect(got.events).to.deep.equal([])
  })

  it('fails all requests that wait for a server that is not there', async () => {
    const all = Array.from({ length: 5 }, () => ask(upstream, { origin: 'http://127.0.0.1:1' }))
    for (const got of all) expect(await got.failed()).to.include({ kind: 'unreachable', maybeHeard: false })
  })

  describe('retries', () => {
    it('a request that a stale connection has lost, on a fresh connection', async () => {
      const stale = await used()
      const got = ask(upstream, { origin, path: '/again' })
      await stale.untilText('\r\n\r\n')
      stale.destroy()
      const fresh = await server.connection()
      await fresh.untilText('GET /again ')
      fresh.write(answer('again'))
      expect((await got.ended()).body).to.equal('again')
      expect(got.events).to.deep.equal(['sending', 'sending', 'head', 'end'])
      expect(got.sending?.isReused).to.equal(false)
    })

    it('only once', async () => {
      const stale = await used()
      const got = ask(upstream, { origin })
      await stale.untilText('\r\n\r\n')
      stale.destroy()
      const fresh = await server.connection()
      await fresh.untilText('\r\n\r\n')
      fresh.destroy()
      expect(await got.failed()).to.include({ kind: 'reset', maybeHeard: true })
      expect(server.accepted).to.equal(2)
    })

    for (const [title, request, sent] of [
      ['that is not idempotent', { method: 'POST' }, ''],
      ['with a body', { method: 'PUT', body: Buffer.from('a') }, ''],
      ['for an upgrade', { upgrade: 'websocket' }, ''],
      ['whose response has begun', {}, 'HTTP/1.1 103 Early\r\n\r\n'],
    ] as const) {
      it(`no request ${title}`, async () => {
        const stale = await used()
        const got = ask(upstream, { origin, ...request })
        await stale.untilText('\r\n\r\n')
        stale.write(sent)
        if (sent !== '') await got.until('information')
        stale.destroy()
        expect(await got.failed()).to.include({ kind: 'reset', maybeHeard: true })
        expect(server.accepted).to.equal(1)
      })
    }

    it('no request on a new connection', async () => {
      const got = ask(upstream, { origin })
      const connection = await server.connection()
      await connection.untilText('\r\n\r\n')
      connection.destroy()
      expect(await got.failed()).to.include({ kind: 'reset', maybeHeard: true })
      expect(server.accepted).to.equal(1)
    })

    /** A request that has lost its connection; `connect` lets the next one be opened. */
    async function reconnecting(): Promise<{ got: RecordingReceiver; connect: () => void }> {
      let looked = (): void => {}
      const connects: (() => void)[] = []
      const lookup: LookupFunction = (_name, _options, callback) => {
        connects.push(() => callback(null, [{ address: '127.0.0.1', family: 4 }]))
        looked()
      }
      upstream = createClient({ ...settings, connectTimeoutMs: 500, connect: { lookup } })
      origin = `http://localhost:${server.port}`
      const first = used()
      connects[0]!()
      const stale = await first
      const got = ask(upstream, { origin, path: '/again' })
      await stale.untilText('\r\n\r\n')
      const again = new Promise<void>((resolve) => (looked = resolve))
      stale.destroy()
      await again
      return { got, connect: connects[1]! }
    }

    it('a request that is paused while its next connection is opened', async () => {
      const { got, connect } = await reconnecting()
      got.sending!.pause()
      got.sending!.resume()
      connect()
      const fresh = await server.connection()
      await fresh.untilText('GET /again ')
      fresh.write(answer('again'))
      expect((await got.ended()).body).to.equal('again')
    })

    it('no longer than a connection may take to open, paused or not', async () => {
      const { got } = await reconnecting()
      got.sending!.pause()
      expect(await got.failed()).to.include({ kind: 'timeout' })
    })

    it('no request that is abandoned while its next connection is opened', async () => {
      const { got, connect } = await reconnecting()
      got.waiting.abandon()
      const next = ask(upstream, { origin })
      await turn()
      connect()
      expect(await next.failed()).to.include({ kind: 'timeout' })
      expect(got.events).to.deep.equal(['sending'])
      expect(server.accepted).to.equal(1)
    })

    it('no request that was abandoned meanwhile', async () => {
      const stale = await used()
      const got = ask(upstream, { origin })
      await stale.untilText('\r\n\r\n')
      got.waiting.abandon()
      await stale.closed()
      await turn()
      expect(got.events).to.deep.equal(['sending'])
      expect(server.accepted).to.equal(1)
    })
  })

  it('first uses the connection that was used last', async () => {
    const two = createClient({ ...settings, maxConnections: 2 })
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

  it('closes idle connections when it is closed', async () => {
    const connection = await used()
    upstream.close()
    await connection.closed()
    expect(await ask(upstream, { origin }).failed()).to.include({ kind: 'closed', maybeHeard: false })
  })

  it('lets requests in progress finish when it is closed', async () => {
    const got = ask(upstream, { origin })
    const connection = await server.connection()
    await connection.untilText('\r\n\r\n')
    upstream.close()
    connection.write(answer('end'))
    expect((await got.ended()).body).to.equal('end')
    await connection.closed()
  })

  describe('is shared by clients', () => {
    /** Asks of one server that counts its connections. */
    async function connectionsOf(...options: Partial<ClientOptions>[]): Promise<number> {
      const counting = await serve((_req, res) => res.end('ok'))
      for (const one of options) {
        const client = createClient({ ...settings, ...one })
        await ask(client, { origin: counting.url }).ended()
        await turn()
      }
      return counting.connections.length
    }

    it('with equal options, however many there are', async () => {
      const lookup = (): void => {}
      const ca = (): Buffer[] => [Buffer.from('a')]
      expect(await connectionsOf({}, {}, { connect: undefined }, {})).to.equal(1)
      expect(
        await connectionsOf({ connect: { lookup, ca: ca() } }, { connect: { ca: ca(), lookup } }),
      ).to.equal(1)
    })

    it('but not with different options', async () => {
      const connects = [
        {},
        { ca: 'a' },
        { ca: 'b' },
        { ca: ['a', 'b'] },
        { ca: Buffer.from('a') },
        { lookup: noLookup },
        { localMark: 5n } as object,
      ]
      expect(await connectionsOf(...connects.map((connect) => ({ connect })))).to.equal(7)
      expect(await connectionsOf({ maxConnections: 1 }, { maxConnections: 2 })).to.equal(2)
    })
  })

  it('leaves nothing after its idle time', async function () {
    this.timeout(20_000)
    const servers = await Promise.all(Array.from({ length: 100 }, () => serve((_req, res) => res.end('ok'))))
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
      const client = createClient({ ...settings, connect: { lookup, autoSelectFamily: true } })
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

  it('closes a connection a second before its server does', async () => {
    const started = performance.now()
    const got = ask(upstream, { origin })
    const connection = await server.connection()
    await connection.untilText('\r\n\r\n')
    connection.write('HTTP/1.1 200 OK\r\nKeep-Alive: timeout=2\r\nContent-Length: 0\r\n\r\n')
    await got.ended()
    await connection.closed()
    expect(performance.now() - started).to.be.within(900, 1900)
  })

  it('closes each connection at its own time', async () => {
    const two = createClient({ ...settings, maxConnections: 2 })
    const both = [ask(two, { origin }), ask(two, { origin })]
    const [long, short] = [await server.connection(), await server.connection()]
    for (const [connection, seconds] of [
      [long, 60],
      [short, 2],
    ] as const) {
      await connection.untilText('\r\n\r\n')
      connection.write(`HTTP/1.1 200 OK\r\nKeep-Alive: timeout=${seconds}\r\nContent-Length: 0\r\n\r\n`)
      await Promise.race(both.map((got) => got.ended()))
      await turn()
    }
    const started = performance.now()
    await short.closed()
    expect(performance.now() - started).to.be.below(1900)
    two.close()
    await long.closed()
  })

  describe('with the connection of a login', () => {
    class Client extends EventEmitter {
      destroyed = false
      end(): void {
        this.destroyed = true
        this.emit('close')
      }
    }
    const challenge =
      'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="a"\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n'
    let alice: Client
    let bob: Client

    beforeEach(() => {
      alice = new Client()
      bob = new Client()
      upstream = createClient({ ...settings, maxConnections: 3 })
    })

    async function answered(got: RecordingReceiver, connection: RawClient, raw = answer()): Promise<void> {
      await connection.untilText('\r\n\r\n')
      connection.write(raw)
      await got.ended()
      await turn()
    }

    for (const [title, request, raw] of [
      ['was challenged', {}, challenge],
      ['logs in', { lines: ['authorization', 'Negotiate abc'] }, answer()],
    ] as const) {
      it(`keeps one that ${title} for its client connection`, async () => {
        const first = ask(upstream, { origin, clientConnection: alice, ...request })
        const hers = await server.connection()
        await answered(first, hers, raw)
        const other = ask(upstream, { origin, clientConnection: bob })
        const his = await server.connection()
        await answered(other, his)
        const anonymous = ask(upstream, { origin })
        await answered(anonymous, his)
        const again = ask(upstream, { origin, clientConnection: alice, path: '/hers' })
        await hers.untilText('GET /hers ')
        await answered(again, hers)
        expect(server.accepted).to.equal(2)
        alice.end()
        await hers.closed()
        expect(alice.listenerCount('close')).to.equal(0)
        expect(bob.listenerCount('close')).to.equal(0)
      })
    }

    it('makes the next step of the login wait until the connection is free', async () => {
      const first = ask(upstream, { origin, clientConnection: alice })
      const hers = await server.connection()
      await hers.untilText('\r\n\r\n')
      hers.write(challenge)
      await first.ended()
      const second = ask(upstream, { origin, clientConnection: alice, path: '/2' })
      await hers.untilText('GET /2 ')
      await answered(second, hers)
      expect(server.accepted).to.equal(1)
    })

    it('opens another one for the next step if the server closes after its challenge', async () => {
      const first = ask(upstream, { origin, clientConnection: alice })
      const hers = await server.connection()
      await hers.untilText('\r\n\r\n')
      hers.write(challenge)
      hers.socket.end()
      await first.ended()
      const second = ask(upstream, { origin, clientConnection: alice, method: 'POST' })
      await answered(second, await server.connection())
    })

    it('forgets the next step when the client abandons it', async () => {
      const first = ask(upstream, { origin, clientConnection: alice })
      const hers = await server.connection()
      await hers.untilText('\r\n\r\n')
      hers.write(challenge)
      await first.ended()
      ask(upstream, { origin, clientConnection: alice, path: '/2' }).waiting.abandon()
      await turn()
      const third = ask(upstream, { origin, clientConnection: alice, path: '/3' })
      expect(await hers.untilText('GET /3 ')).to.not.include('GET /2 ')
      await answered(third, hers)
    })

    for (const when of ['is idle', 'is under way'] as const) {
      it(`ends one that ${when} when another client finds no place`, async () => {
        upstream = createClient({ ...settings, maxConnections: 1 })
        const first = ask(upstream, { origin, clientConnection: alice })
        const hers = await server.connection()
        if (when === 'is idle') await answered(first, hers, challenge)
        const other = ask(upstream, { origin, clientConnection: bob })
        if (when === 'is under way') await answered(first, hers, challenge)
        await hers.closed()
        await answered(other, await server.connection())
      })
    }

    it('keeps none that is returned after close()', async () => {
      const first = ask(upstream, { origin, clientConnection: alice })
      const hers = await server.connection()
      await hers.untilText('\r\n\r\n')
      upstream.close()
      hers.write(challenge)
      await first.ended()
      await hers.closed()
    })

    it('shares one whose challenge is not bound to the connection', async () => {
      const basic = challenge.replace('WWW-Authenticate: NTLM\r\n', '')
      const first = ask(upstream, { origin, clientConnection: alice })
      const connection = await server.connection()
      await answered(first, connection, basic)
      await answered(ask(upstream, { origin, clientConnection: bob }), connection)
      expect(server.accepted).to.equal(1)
    })

    it('closes one if the client has left meanwhile, or is unknown', async () => {
      for (const clientConnection of [undefined, alice]) {
        const got = ask(upstream, { origin, clientConnection })
        const connection = await server.connection()
        alice.end()
        await answered(got, connection, challenge)
        await connection.closed()
      }
    })

    it('closes one in the middle of an answer when its client leaves', async () => {
      const first = ask(upstream, { origin, clientConnection: alice })
      const hers = await server.connection()
      await answered(first, hers, challenge)
      ask(upstream, { origin, clientConnection: alice })
      await hers.untilText('\r\n\r\n')
      alice.end()
      await hers.closed()
    })

    it('closes idle ones when the pool is closed', async () => {
      const first = ask(upstream, { origin, clientConnection: alice })
      const hers = await server.connection()
      await answered(first, hers, challenge)
      upstream.close()
      await hers.closed()
      expect(alice.listenerCount('close')).to.equal(0)
    })
  })

  it('does not keep a process alive with idle connections', async () => {
    const { url } = await serve((_req, res) => res.end('ok'))
    const program = `
      const { createClient } = await import('${root}/dist/esm/passthrough-proxy/upstream/http1/client.js')
      const client = createClient(${JSON.stringify(settings)})
      const request = { origin: '${url}', method: 'GET', path: '/', lines: [], body: null, headersTimeoutMs: 60_000 }
      const onEnd = () => console.log('ended')
      client.send(request, { onSending() {}, onHead() {}, onEnd, onFailure: console.error })`
    const started = performance.now()
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program])
    expect(stdout).to.equal('ended\n')
    expect(performance.now() - started).to.be.below(3500)
  })
})

function noLookup(): void {}
