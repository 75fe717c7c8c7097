import { createServer } from 'node:http'
import { expect } from 'chai'
import { passthroughProxy, type SluicewayError } from 'sluiceway'
import { asChunk, lastChunk, RawClient } from '../../support/clients/raw-client.js'
import { hosts } from '../../support/express/hosts.js'
import { answer, scriptedUpstream, type ScriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, listen } from '../../support/servers/servers.js'
import { MockedClock } from '../../support/time/mocked-clock.js'

/** Far below the limits that would end the exchange otherwise, and far above what a busy machine takes. */
const SOON_MS = 10_000

/** Stands still in the rows in which the upstream falls silent, but for its silence: the rest must be served in time. */
const clock = new MockedClock()

/** The timeout in the rows in which one side falls silent: of the server for its client, of the proxy for its upstream. */
const PATIENCE_MS = 60

type Side = 'the client' | 'the upstream'
type Way = 'FIN' | 'RST' | 'silence'
type Phase =
  | 'before the head of the answer'
  | 'in its own head'
  | 'in a body with Content-Length'
  | 'in a chunked body'
  | 'in the upload'
  | 'after the answer'

/** The outcome for each side. */
interface Outcome {
  /** The status of a whole answer; else what there is of one. */
  readonly client: number | 'a part' | 'nothing'
  /** 'kept' connections have carried one more request. */
  readonly clientConnection: 'kept' | 'ended'
  readonly upstreamConnection: 'kept' | 'ended' | 'never opened'
  /** The codes of what `next` was given. */
  readonly errors: readonly string[]
}

const left: Outcome = {
  client: 'nothing',
  clientConnection: 'ended',
  upstreamConnection: 'ended',
  errors: [],
}
const leftWithPart: Outcome = { ...left, client: 'a part' }
const served: Outcome = { client: 200, clientConnection: 'kept', upstreamConnection: 'kept', errors: [] }
const reset: Outcome = {
  client: 502,
  clientConnection: 'kept',
  upstreamConnection: 'ended',
  errors: ['ERR_SLUICEWAY_UPSTREAM_RESET'],
}
const timedOut: Outcome = { ...reset, client: 504, errors: ['ERR_SLUICEWAY_UPSTREAM_TIMEOUT'] }
const cut: Outcome = { ...reset, client: 'a part', clientConnection: 'ended' }

const table: Record<Side, Record<Phase, Record<Way, Outcome>>> = {
  'the client': {
    'before the head of the answer': { FIN: left, RST: left, silence: served },
    'in its own head': {
      // Node answers these itself: 400, or 408 after its headersTimeout. The app never hears of them.
      FIN: { ...left, client: 400, upstreamConnection: 'never opened' },
      RST: { ...left, upstreamConnection: 'never opened' },
      silence: { ...left, client: 408, upstreamConnection: 'never opened' },
    },
    'in a body with Content-Length': { FIN: leftWithPart, RST: leftWithPart, silence: served },
    'in a chunked body': { FIN: leftWithPart, RST: leftWithPart, silence: served },
    // 400 and, after the server's requestTimeout, 408 are Node's own.
    'in the upload': { FIN: { ...left, client: 400 }, RST: left, silence: { ...left, client: 408 } },
    'after the answer': {
      FIN: { ...served, clientConnection: 'ended' },
      RST: { ...served, clientConnection: 'ended' },
      // The server's keepAliveTimeout.
      silence: { ...served, clientConnection: 'ended' },
    },
  },
  'the upstream': {
    'before the head of the answer': { FIN: reset, RST: reset, silence: timedOut },
    'in its own head': { FIN: reset, RST: reset, silence: timedOut },
    'in a body with Content-Length': { FIN: cut, RST: cut, silence: { ...cut, errors: timedOut.errors } },
    'in a chunked body': { FIN: cut, RST: cut, silence: { ...cut, errors: timedOut.errors } },
    // It reads no more; what the client has sent meanwhile is more than is thrown away for a connection's sake.
    'in the upload': { FIN: reset, RST: reset, silence: { ...timedOut, clientConnection: 'ended' } },
    'after the answer': {
      FIN: { ...served, upstreamConnection: 'ended' },
      RST: { ...served, upstreamConnection: 'ended' },
      silence: served,
    },
  },
}

for (const { name, mount } of hosts) {
  describe(`passthroughProxy when one side leaves (${name})`, () => {
    let upstream: ScriptedUpstream
    let client: RawClient
    /** Where the first request has arrived. */
    let connection: RawClient | undefined
    let errors: string[]
    let port: number

    /** Starts everything; who waits for `silent` does so for a short time only. */
    async function start(silent: Side | undefined): Promise<void> {
      upstream = await scriptedUpstream()
      connection = undefined
      errors = []
      const proxy = passthroughProxy(
        upstream.url,
        silent === 'the upstream' ? { headersTimeoutMs: PATIENCE_MS, idleTimeoutMs: PATIENCE_MS } : {},
      )
      const app = mount((req, res, next) =>
        proxy(req, res, (error) => {
          errors.push((error as SluicewayError).code)
          next(error)
        }),
      )
      if (silent === 'the upstream') clock.stop()
      ;({ port } = await listen(createServer(silent === 'the client' ? impatient : {}, app)))
      client = await RawClient.connect(port)
    }
    afterEach(() => clock.restore())
    afterEach(closeServers)

    async function arrived(text: string): Promise<RawClient> {
      connection = await upstream.connection()
      await connection.untilText(text)
      return connection
    }

    const reach: Record<Phase, (side: Side) => Promise<unknown>> = {
      'before the head of the answer': () => {
        client.request('GET', '/')
        return arrived('\r\n\r\n')
      },
      'in its own head': async (side) => {
        if (side === 'the client') return client.write('GET / HTTP/1.1\r\nHo')
        client.request('GET', '/')
        return (await arrived('\r\n\r\n')).write('HTTP/1.1 200 OK\r\nContent-')
      },
      'in a body with Content-Length': () => reachBody('Content-Length: 8', 'half'),
      'in a chunked body': () => reachBody('Transfer-Encoding: chunked', asChunk('half').toString()),
      'in the upload': () => {
        client.write('POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n')
        client.write(asChunk('half'))
        return arrived('half')
      },
      'after the answer': async () => {
        client.request('GET', '/')
        ;(await arrived('\r\n\r\n')).write(answer())
        // All of it is there, and not yet taken.
        await client.until((bytes) => (bytes.toString().endsWith('\r\n\r\nok') ? true : undefined))
      },
    }

    async function reachBody(framing: string, part: string): Promise<void> {
      client.request('GET', '/')
      ;(await arrived('\r\n\r\n')).write(`HTTP/1.1 200 OK\r\n${framing}\r\n\r\n${part}`)
      await client.until((bytes) => (bytes.includes('half') ? true : undefined))
    }

    /** Ends one side; or has the other go on, so that it is this side's silence that matters. */
    function leave(side: Side, phase: Phase, way: Way): void {
      const { socket } = side === 'the client' ? client : (connection ?? client)
      if (way === 'FIN') socket.end()
      else if (way === 'RST') socket.resetAndDestroy()
      else if (side === 'the client') goOnAsUpstream(phase)
      else goOnAsClient(phase)
    }

    function goOnAsUpstream(phase: Phase): void {
      if (phase === 'before the head of the answer') connection?.write(answer())
      if (phase === 'in a body with Content-Length') connection?.write('rest')
      if (phase === 'in a chunked body') connection?.write(asChunk('rest'), lastChunk)
    }

    /** More than the buffers on the way can hold. */
    function goOnAsClient(phase: Phase): void {
      if (phase !== 'in the upload') return
      connection?.socket.pause()
      client.write(asChunk(Buffer.alloc(12 * 1024 * 1024)))
    }

    function seenByClient(): Promise<Outcome['client']> {
      return client.response().then(
        ({ status }) => status,
        () => (client.socket.bytesRead > 0 ? 'a part' : 'nothing'),
      )
    }

    /** Lets the time pass for which the upstream is silent, and in which the rest of an upload is discarded. */
    function inTime<Value>(side: Side, way: Way, coming: Promise<Value>): Promise<Value> {
      return way === 'silence' && side === 'the upstream' ? clock.passUntil(coming, PATIENCE_MS) : coming
    }

    /** Waits for what comes, then tries what is left of both connections with one more request. */
    async function outcome(side: Side, phase: Phase, way: Way): Promise<Outcome> {
      const since = performance.now()
      const seen = await inTime(side, way, seenByClient())
      const isOver = table[side][phase][way].clientConnection === 'ended'
      if (isOver) await inTime(side, way, client.closed())
      else if (phase === 'in the upload') client.write(lastChunk)
      connection?.socket.resume()
      if (table[side][phase][way].upstreamConnection === 'ended') await connection?.closed()
      if (side === 'the client' && way !== 'silence') {
        expect(performance.now() - since).to.be.below(SOON_MS)
      }
      return {
        client: seen,
        clientConnection: isOver ? 'ended' : 'kept',
        upstreamConnection: await tryOnceMore(isOver ? await RawClient.connect(port) : client),
        errors: errors.slice(),
      }
    }

    async function tryOnceMore(next: RawClient): Promise<Outcome['upstreamConnection']> {
      next.request('GET', '/next')
      const fresh = upstream.connectionWith('GET /next').then((opened) => ({ opened, isFresh: true }))
      const kept = connection?.untilText('GET /next').then(
        () => ({ opened: connection as RawClient, isFresh: false }),
        () => fresh,
      )
      const { opened, isFresh } = await Promise.race(kept === undefined ? [fresh] : [kept, fresh])
      opened.write(answer('next'))
      expect((await next.response()).body.toString()).to.equal('next')
      if (!isFresh) return 'kept'
      return connection === undefined ? 'never opened' : 'ended'
    }

    for (const [side, phases] of Object.entries(table) as [Side, (typeof table)[Side]][]) {
      for (const [phase, ways] of Object.entries(phases) as [Phase, (typeof phases)[Phase]][]) {
        for (const [way, expected] of Object.entries(ways) as [Way, Outcome][]) {
          // It takes undici's coarse clock a second to notice silence.
          if (way === 'silence' && name !== 'Express 5') continue
          it(`${side}, by ${way}, ${phase}: the client sees ${expected.client}, its connection is ${expected.clientConnection}, the upstream's ${expected.upstreamConnection}`, async () => {
            await start(way === 'silence' ? side : undefined)
            await reach[phase](side)
            leave(side, phase, way)
            expect(await outcome(side, phase, way)).to.deep.equal(expected)
            // Nobody may take a part of an upload for the whole.
            if (phase === 'in the upload' && side === 'the client') {
              expect(connection?.pending.toString()).not.to.contain(lastChunk)
            }
          })
        }
      }
    }
  })
}

const impatient = {
  connectionsCheckingInterval: PATIENCE_MS / 2,
  headersTimeout: PATIENCE_MS,
  requestTimeout: PATIENCE_MS,
  keepAliveTimeout: PATIENCE_MS,
}
