import type { LookupFunction } from 'node:net'
import { createSecureContext } from 'node:tls'
import { expect } from 'chai'
import type { RawClient } from '../../../support/clients/raw-client.js'
import { type ClientOptions, createClient, type Upstream } from '../../../support/http1/http1-client.js'
import { ask } from '../../../support/http1/upstream-receiver.js'
import { answer, type ScriptedUpstream } from '../../../support/servers/scripted-upstream.js'
import { serve } from '../../../support/servers/servers.js'
import { MockedClock } from '../../../support/time/mocked-clock.js'
import { giveEach, ofOne, usedConnection, turn } from './asked.js'

describe("the pool of the proxy's own client", () => {
  let server: ScriptedUpstream
  let upstream: Upstream
  let origin: string

  const clock = new MockedClock()
  afterEach(() => clock.restore())
  giveEach(ofOne, (given) => ({ server, origin, upstream } = given))

  const used = (): Promise<RawClient> => usedConnection(upstream, server, origin)

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
    second.attempt.abandon()
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

  it('keeps its idle connection when another one is lost', async () => {
    const two = createClient({ ...ofOne, maxConnections: 2 })
    const both = [ask(two, { origin }), ask(two, { origin })]
    const [kept, lost] = [await server.connection(), await server.connection()]
    for (const connection of [kept, lost]) await connection.untilText('\r\n\r\n')
    kept.write(answer())
    await Promise.race(both.map((got) => got.ended()))
    await turn()
    lost.destroy()
    await Promise.any(both.map((got) => got.failed()))
    const next = ask(two, { origin })
    await kept.untilText('\r\n\r\n')
    kept.write(answer())
    await next.ended()
    two.close()
  })

  it('does not count a lost connection twice', async () => {
    const first = ask(upstream, { origin })
    const lost = await server.connection()
    await lost.untilText('\r\n\r\n')
    lost.destroy()
    await first.failed()
    const both = [1, 2].map(() => ask(upstream, { origin }))
    const connection = await server.connection()
    for (const got of both) {
      await connection.untilText('\r\n\r\n')
      connection.write(answer())
      await got.ended()
    }
    expect(server.accepted).to.equal(2)
  })

  it('makes a request wait for a connection that will be free in a moment', async () => {
    const two = createClient({ ...ofOne, maxConnections: 2 })
    let got = ask(two, { origin })
    const connection = await server.connection()
    for (let round = 0; round < 3; round++) {
      await connection.untilText('\r\n\r\n')
      connection.write(answer())
      await got.ended()
      got = ask(two, { origin })
    }
    await connection.untilText('\r\n\r\n')
    expect(server.accepted).to.equal(1)
    got.attempt.abandon()
    two.close()
  })

  it('gives up a connection for which no request waits, but not one for which another does', async () => {
    const { connects, lookup } = waitingLookup()
    const one = createClient({ ...ofOne, connect: { lookup } })
    const [first, second, third] = [1, 2, 3].map((path) => () => {
      return ask(one, { origin: `http://localhost:${server.port}`, path: `/${path}` })
    })
    const alone = first!()
    alone.attempt.abandon()
    const [before, behind] = [second!(), third!()]
    before.attempt.abandon()
    expect(connects).to.have.length(2)
    connects[1]!()
    const connection = await server.connection()
    await connection.untilText('GET /3 ')
    connection.write(answer())
    await behind.ended()
    expect([alone.events, before.events]).to.deep.equal([[], []])
    one.close()
  })

  it('gives up only the connection that is opened for the request that leaves', async () => {
    const { connects, lookup } = waitingLookup()
    const two = createClient({ ...ofOne, maxConnections: 2, connect: { lookup } })
    const both = [1, 2].map(() => ask(two, { origin: `http://localhost:${server.port}` }))
    both[0]!.attempt.abandon()
    for (const connect of connects) connect()
    const connection = await server.connection()
    await connection.untilText('\r\n\r\n')
    connection.write(answer())
    await both[1]!.ended()
    expect([connects.length, server.accepted]).to.deep.equal([2, 1])
    two.close()
  })

  it('fails all waiting requests if no more connections can be opened', async () => {
    let isBroken = false
    const lookup: LookupFunction = (_name, _options, callback) => {
      if (isBroken) throw new Error('thrown')
      callback(null, [{ address: '127.0.0.1', family: 4 }])
    }
    const one = createClient({ ...ofOne, connect: { lookup } })
    const all = [1, 2, 3].map(() => ask(one, { origin: `http://localhost:${server.port}` }))
    const connection = await server.connection()
    await connection.untilText('\r\n\r\n')
    isBroken = true
    connection.destroy()
    const kinds = await Promise.all(all.map(async (got) => (await got.failed()).kind))
    expect(kinds).to.deep.equal(['reset', 'unreachable', 'unreachable'])
    one.close()
  })

  it('opens no more connections than maxConnections, however long one is in use', async () => {
    clock.stop()
    const connection = await used()
    const first = ask(upstream, { origin })
    await connection.untilText('\r\n\r\n')
    await clock.pass(4000)
    const second = ask(upstream, { origin, path: '/second' })
    await turn()
    connection.write(answer())
    await first.ended()
    await connection.untilText('GET /second ')
    connection.write(answer())
    await second.ended()
    expect(server.accepted).to.equal(1)
  })

  it('fails all requests that wait for a server that is not there', async () => {
    const all = Array.from({ length: 5 }, () => ask(upstream, { origin: 'http://127.0.0.1:1' }))
    for (const got of all) expect(await got.failed()).to.include({ kind: 'unreachable', maybeHeard: false })
  })

  it('closes no connections of clients with other options when it is closed', async () => {
    clock.stop()
    const other = createClient({ ...ofOne, maxConnections: 3 })
    const connection = await usedConnection(other, server, origin)
    await used()
    upstream.close()
    await turn()
    const got = ask(other, { origin })
    await connection.untilText('\r\n\r\n')
    connection.write(answer())
    await got.ended()
    expect(server.accepted).to.equal(2)
    other.close()
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
        const client = createClient({ ...ofOne, ...one })
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
        // Without the quotes around each text, it would be described like two of them.
        { ca: ['a,string:b'] },
        { lookup: noLookup },
        { localMark: 5n } as object,
        { localMark: null } as object,
        // Functions and objects that look alike may still do different things.
        ...[1, 2].map(() => ({ lookup: () => {} })),
        ...[1, 2].map(() => ({ secureContext: createSecureContext() })),
      ]
      expect(await connectionsOf(...connects.map((connect) => ({ connect })))).to.equal(connects.length)
      expect(await connectionsOf({ maxConnections: 1 }, { maxConnections: 2 })).to.equal(2)
    })
  })
})

function noLookup(): void {}

/** A lookup that waits for the functions in `connects`. */
function waitingLookup(): { connects: (() => void)[]; lookup: LookupFunction } {
  const connects: (() => void)[] = []
  const lookup: LookupFunction = (_name, _options, callback) => {
    connects.push(() => callback(null, [{ address: '127.0.0.1', family: 4 }]))
  }
  return { connects, lookup }
}
