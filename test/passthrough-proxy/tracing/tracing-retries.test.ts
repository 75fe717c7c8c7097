import { once } from 'node:events'
import http2 from 'node:http2'
import { expect } from 'chai'
import { passthroughProxy, type Dispatcher, type ProxiedRequest } from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { hosts } from '../../support/express/hosts.js'
import { observing, Observer } from '../../support/observed.js'
import { proxied, request } from '../../support/servers/proxied.js'
import { answer, scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, listen, serve } from '../../support/servers/servers.js'
import { until } from '../../support/time/until.js'
import { needsOwnClient } from '../../support/undici/transports.js'

/** The events that are told in each test of a `describe`. */
function following(): {
  told: [string, ProxiedRequest][]
  events: () => string[]
  ended: () => Promise<ProxiedRequest>
} {
  const observer = observing()
  const told: [string, ProxiedRequest][] = []
  const events = (): string[] => told.map(([event]) => event)
  beforeEach(() => {
    told.length = 0
    observer.proxied(told)
  })
  afterEach(closeServers)
  return {
    told,
    events,
    async ended() {
      await until(() => events().includes('asyncEnd'))
      return told[0]![1]
    },
  }
}

for (const { name, express } of expressVersions) {
  describe(`messages about a proxied request (${name})`, () => {
    const { told, events, ended } = following()

    it('have one start if it is sent twice', async function () {
      needsOwnClient(this, 'undici repeats nothing')
      const { client, upstream, exchange } = await proxied({ express })
      const { connection } = await exchange(request('GET', '/first'))
      await ended()
      told.length = 0
      client.request('GET', '/again')
      await connection.untilText('/again')
      connection.socket.resetAndDestroy()
      const fresh = await upstream.connection()
      await fresh.untilText('\r\n\r\n')
      fresh.write(answer())
      await client.response()
      expect(await ended()).to.include({ isRetried: true, outcome: 'answered', status: 200 })
      expect(events()).to.deep.equal(['start', 'end', 'asyncStart', 'asyncEnd'])
    })

    it('have one start if it goes to another target, with the lines that a subscriber has set', async () => {
      const observer = new Observer()
      observer.on('tracing:sluiceway:proxy:start', ({ outgoing }) => {
        outgoing?.headers.set('Traceparent', 'of the subscriber')
        outgoing?.headers.delete('X-Unwanted')
      })
      const attempts: number[] = []
      const { client, upstream } = await proxied({
        express,
        target:
          ({ url }) =>
          (_req, failed) =>
            failed === undefined ? 'http://127.0.0.1:1' : url,
        onRequest: ({ headers }) =>
          headers.set('X-Attempt', String(attempts.push(headers.has('traceparent') ? 1 : 0))),
      })
      client.write(request('GET', '/', 'X-Unwanted: 1'))
      const connection = await upstream.connection()
      const seen = await connection.untilText('\r\n\r\n')
      observer.end()
      expect(seen)
        .to.match(/^Traceparent: of the subscriber\r$/m)
        .and.match(/^X-Attempt: 2\r$/m)
      expect(seen).not.to.match(/X-Unwanted/i)
      connection.write(answer())
      await client.response()
      expect(await ended()).to.include({ attempts: 2, isRetried: false, outcome: 'answered', status: 200 })
      expect(told[0]?.[1].outgoing).to.include({ origin: upstream.url })
      expect(events()).to.deep.equal(['start', 'end', 'asyncStart', 'asyncEnd'])
    })

    it('have one start, one error and one end if no target can be reached', async () => {
      const { client, errors } = await proxied({
        express,
        target: () => (_req, failed) => `http://127.0.0.1:${failed === undefined ? 1 : 2}`,
      })
      client.write(request('GET', '/'))
      expect((await client.response()).status).to.equal(502)
      expect(await ended()).to.include({ attempts: 2, outcome: 'failed', error: errors[0] })
      expect(told[0]?.[1].outgoing).to.include({ origin: 'http://127.0.0.1:2' })
      expect(events()).to.deep.equal(['start', 'end', 'error', 'asyncStart', 'asyncEnd'])
    })

    for (const [what, sent, code] of [
      [
        'a TRACE with a body',
        'TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx',
        'PROXY_BAD_REQUEST',
      ],
      ['one of two hosts', 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 'PROXY_BAD_REQUEST'],
    ] as const) {
      it(`have a start, an error and an end if it is refused: ${what}`, async () => {
        const { client, errors } = await proxied({ express })
        client.write(sent)
        // Some are refused by Node itself.
        const { status } = await client.response()
        if (errors.length === 0) {
          expect([status, told]).to.deep.equal([400, []])
          return
        }
        const { outgoing, outcome, error } = await ended()
        expect({ outgoing, outcome, error }).to.deep.equal({
          outgoing: undefined,
          outcome: 'failed',
          error: errors[0],
        })
        expect(error).to.have.property('code', `ERR_SLUICEWAY_${code}`)
        expect(events()).to.deep.equal(['start', 'end', 'error', 'asyncStart', 'asyncEnd'])
      })
    }

    it('have the path below the mount, and the upstream’s', async () => {
      const { exchange } = await proxied({ express, mount: '/api', prefix: '/v1' })
      await exchange(request('GET', '/api/x?y'))
      const { req, outgoing } = await ended()
      expect([req.url, outgoing?.path]).to.deep.equal(['/x?y', '/v1/x?y'])
    })

    it('have the end after the start if a dispatcher answers at once', async () => {
      const dispatcher: Dispatcher = {
        dispatch(_options, handler) {
          const { onConnect, onHeaders, onComplete } = handler as Record<string, (...args: unknown[]) => void>
          onConnect!.call(handler, () => {})
          onHeaders!.call(handler, 204, [], () => {}, 'No Content')
          onComplete!.call(handler, [])
          return true
        },
      }
      const { port } = await serve(express().use(passthroughProxy('http://127.0.0.1:1', { dispatcher })))
      const client = await RawClient.connect(port)
      client.request('GET', '/')
      expect((await client.response()).status).to.equal(204)
      expect(events()).to.deep.equal(['start', 'end', 'asyncStart', 'asyncEnd'])
    })
  })
}

describe('messages about a proxied request, behind HTTP/2', () => {
  const { events, ended } = following()
  for (const leaves of [false, true]) {
    it(`have the end if the client ${leaves ? 'resets the stream' : 'reads it all'}`, async () => {
      const upstream = await scriptedUpstream()
      const app = hosts[0]!.mount(passthroughProxy(upstream.url))
      const { port } = await listen(http2.createServer(app as never) as never)
      const session = http2.connect(`http://127.0.0.1:${port}`)
      const stream = session.request({ ':method': 'POST', ':path': '/up' })
      stream.on('error', () => {}).write('abc')
      const connection = await upstream.connection()
      await connection.untilText('abc')
      if (leaves) stream.close(http2.constants.NGHTTP2_CANCEL)
      else {
        stream.end()
        await connection.untilText('0\r\n\r\n')
        connection.write(answer('whole'))
        stream.resume()
        await once(stream, 'close')
      }
      const message = await ended()
      session.destroy()
      expect(message).to.include(
        leaves
          ? { outcome: 'client-left', requestBytes: 3, error: undefined }
          : { outcome: 'answered', status: 200, requestBytes: 3, responseBytes: 5 },
      )
      expect(events()).to.deep.equal(['start', 'end', 'asyncStart', 'asyncEnd'])
    })
  }
})

describe('a proxied request without subscribers', () => {
  afterEach(closeServers)

  it('is not published, even if a subscriber is added while it is in progress', async () => {
    const { client, upstream } = await proxied()
    client.request('GET', '/')
    const connection = await upstream.connection()
    await connection.untilText('\r\n\r\n')
    const observer = new Observer()
    const told = observer.proxied()
    connection.write(answer())
    await client.response()
    observer.end()
    expect(told).to.deep.equal([])
  })
})
