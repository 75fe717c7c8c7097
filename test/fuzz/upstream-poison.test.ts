import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { expect } from 'chai'
import * as fc from 'fast-check'
import type { RawClient } from '../support/clients/raw-client.js'
import { createClient, type Upstream } from '../support/http1/http1-client.js'
import { ask, type RecordingReceiver } from '../support/http1/upstream-receiver.js'
import { answer, scriptedUpstream, type ScriptedUpstream } from '../support/servers/scripted-upstream.js'
import { closeServers } from '../support/servers/servers.js'
import { turns } from '../support/time/turns.js'
import { until } from '../support/time/until.js'
import { holds } from './property.js'
import { type Cuts, cuts, writeInParts } from './wire.js'

/** The bytes that a server may send instead of a response, and after one. */
const part = fc.constantFrom(
  answer('first'),
  'HTTP/1.1 200 OK\r\n',
  'HTTP/1.1 204 No Content\r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n',
  'HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n',
  'HTTP/1.1 100 Continue\r\n\r\n',
  'HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
  'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n',
  'Content-Length: 3\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Connection: close\r\n',
  'Keep-Alive: timeout=1\r\n',
  '\r\n',
  '3\r\nabc\r\n',
  '0\r\n\r\n',
  '0\r\nTrailer: a\r\n\r\n',
  'abc',
  answer('poison'),
  answer(`poison${'a'.repeat(66_000)}`),
  '\0',
)

interface Case {
  readonly method: string
  readonly upgrade: string | undefined
  readonly hasBody: boolean
  readonly raw: string
  readonly pieces: Cuts
  readonly end: 'fin' | 'reset' | 'none'
  readonly gives: 'up' | 'time'
}

const cases: fc.Arbitrary<Case> = fc.record({
  method: fc.constantFrom('GET', 'HEAD', 'POST'),
  upgrade: fc.constantFrom(undefined, undefined, 'websocket'),
  hasBody: fc.boolean(),
  raw: fc.array(part, { maxLength: 7 }).map((parts) => parts.join('')),
  pieces: cuts,
  end: fc.constantFrom('fin', 'reset', 'none', 'none'),
  gives: fc.constantFrom('up', 'time'),
})

let count = 0

/** Tells whether the client has read everything; it destroys the socket where it has read the end. */
function hasRead({ bytesRead }: Socket, sent: number, end: Case['end']): boolean {
  return end === 'none' && bytesRead >= sent
}

describe("hostile responses and the proxy's own client, fuzzed", () => {
  let server: ScriptedUpstream
  let upstream: Upstream

  before(async () => {
    server = await scriptedUpstream()
    upstream = createClient({ maxConnections: 1, connectTimeoutMs: 1000, maxResponseHeadBytes: 8192 })
  })
  after(async () => {
    upstream.close()
    await closeServers()
  })

  /** The sockets of the client, by their local port. */
  const sockets = new Map<number | undefined, Socket>()
  const remember = (message: unknown): void => {
    const { socket } = message as { socket: Socket }
    socket.once('connect', () => {
      const { localPort } = socket
      sockets.set(localPort, socket)
      socket.once('close', () => sockets.delete(localPort))
    })
  }
  before(() => subscribe('net.client.socket', remember))
  after(() => unsubscribe('net.client.socket', remember))

  async function misled(one: Case, hostile: RecordingReceiver, connection: RawClient): Promise<void> {
    const { socket } = connection
    await connection.untilText('\r\n\r\n').catch(() => {})
    const client = sockets.get(socket.remotePort)
    await writeInParts(connection, Buffer.from(one.raw, 'latin1'), one.pieces)
    const sent = socket.bytesWritten
    if (one.end === 'fin') socket.end()
    if (one.end === 'reset') socket.resetAndDestroy()
    // The kernel of a busy machine takes its time, and what comes after the next request was sent may be its answer.
    await until(
      () =>
        client === undefined ||
        client.destroyed ||
        hostile.tunnel !== undefined ||
        hasRead(client, sent, one.end),
    )
    await turns(4)
  }

  /** Answers an innocent request wherever it comes: on a connection that is there, or on a new one. */
  async function answered(path: string, connection: RawClient | undefined): Promise<RawClient> {
    for (let side = connection; ; side = undefined) {
      const current = side ?? (await server.connection())
      const found = await current.untilText(`GET ${path} `).catch(() => undefined)
      if (found === undefined) continue
      await current.untilText('\r\n\r\n')
      current.write(answer(path))
      return current
    }
  }

  it('never reach the next request, on a pool of one connection', async function () {
    this.timeout(0)
    let kept: RawClient | undefined
    const check = async (one: Case): Promise<void> => {
      count += 1
      const { method, upgrade } = one
      const body = one.hasBody ? Buffer.from('body') : null
      const hostile = ask(upstream, {
        origin: server.url,
        method,
        upgrade,
        body,
        headersTimeoutMs: 20,
        idleTimeoutMs: 20,
      })
      await hostile.until('sending')
      const connection = hostile.sending!.isReused ? kept! : await server.connection()
      await misled(one, hostile, connection)
      if (!hostile.isOver && one.gives === 'up') hostile.attempt.abandon()
      // It hears of one end at most, and of nothing else behind it: the receiver throws otherwise.
      hostile.tunnel?.destroy()
      const path = `/innocent-${count}`
      const innocent = ask(upstream, { origin: server.url, path, headersTimeoutMs: 1500 })
      const [side] = await Promise.all([answered(path, connection), innocent.ended()])
      expect(innocent.body).to.equal(path)
      kept = side
      await turns(2)
    }
    await holds(fc.asyncProperty(cases, check), { runs: 400, milliseconds: 1000 })
  })
})
