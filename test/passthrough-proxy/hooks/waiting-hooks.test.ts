import { once } from 'node:events'
import http2 from 'node:http2'
import { PassThrough, Readable } from 'node:stream'
import { expect } from 'chai'
import {
  passthroughProxy,
  type IncomingResponse,
  type OutgoingRequest,
  type PassthroughProxyOptions,
} from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { scriptedUpstream, type ScriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, listen, serve } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'
import { until } from '../../support/time/until.js'

const never = new Promise<void>(() => {})

const halfBody = 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf'

type Proxy = ReturnType<typeof passthroughProxy>

/** A client in the middle of an upload, which leaves without an error. */
interface Uploading {
  leave(): void
}

/** Serves a proxy over one version of HTTP, and sends it the head of a POST and a part of its body. */
type Front = (proxy: Proxy) => Promise<Uploading>

const http1: Front = async (proxy) => {
  const { port } = await serve((req, res) => proxy(req, res, () => res.end()))
  const client = await RawClient.connect(port)
  client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf')
  return { leave: () => client.destroy() }
}

const overHttp2: Front = async (proxy) => {
  const server = http2.createServer((req, res) => proxy(req as never, res as never, () => res.end()))
  const { url } = await listen(server as never)
  const session = http2.connect(url).on('error', () => {})
  const stream = session.request({ ':method': 'POST' }, { endStream: false }).on('error', () => {})
  stream.write('half')
  return { leave: () => session.destroy() }
}

for (const [front, start] of [
  ['HTTP/1.1', http1],
  ['HTTP/2', overHttp2],
] as const) {
  describe(`a hook that never settles, behind ${front}`, () => {
    let upstream: ScriptedUpstream
    let left: string[]
    beforeEach(async () => {
      left = []
      upstream = await scriptedUpstream()
    })
    afterEach(closeServers)

    /** A stream whose end a test waits for. */
    function watched<Stream extends Readable>(name: string, stream: Stream): Stream {
      left.push(name)
      return stream.on('close', () => (left = left.filter((other) => other !== name)))
    }

    const proxyOf = (options: PassthroughProxyOptions, target: unknown = upstream.url): Proxy =>
      passthroughProxy(target as string, options)

    async function leaves(proxy: Proxy, client: Uploading): Promise<void> {
      expect(proxy.stats.requests).to.equal(1)
      client.leave()
      await until(() => proxy.stats.requests === 0)
      await until(() => left.length === 0, 'the end of all streams')
      await proxy.close()
    }

    it('leaves no transform of onRequest behind when the client leaves', async () => {
      const called = deferred()
      const proxy = proxyOf({
        onRequest(outgoing) {
          for (const name of ['first', 'second']) outgoing.pipeThrough(watched(name, new PassThrough()))
          called.resolve()
          return never
        },
      })
      const client = await start(proxy)
      await called.promise
      await leaves(proxy, client)
      expect(upstream.takeNew()).to.have.length(0)
    })

    it('leaves no transform behind that onRequest gives after the client has left', async () => {
      const called = deferred<OutgoingRequest>()
      const proxy = proxyOf({
        onRequest(outgoing) {
          called.resolve(outgoing)
          return never
        },
      })
      const client = await start(proxy)
      const outgoing = await called.promise
      await leaves(proxy, client)
      const late = new PassThrough()
      outgoing.pipeThrough(late)
      if (!late.closed) await once(late, 'close')
    })

    it('leaves no stream behind that onRequest has given as the body', async () => {
      const called = deferred()
      const proxy = proxyOf({
        onRequest(outgoing) {
          outgoing.body = watched('body', new PassThrough())
          called.resolve()
          return never
        },
      })
      const client = await start(proxy)
      await called.promise
      await leaves(proxy, client)
    })

    async function responding(
      hook: (incoming: IncomingResponse) => void,
    ): Promise<{ proxy: Proxy; client: Uploading; connection: RawClient }> {
      const called = deferred()
      const proxy = proxyOf({
        onResponse(incoming) {
          hook(incoming)
          called.resolve()
          return never
        },
      })
      const client = await start(proxy)
      const connection = await upstream.connection()
      await connection.untilText('half')
      connection.write(halfBody)
      await called.promise
      return { proxy, client, connection }
    }

    const hooks: readonly (readonly [string, (incoming: IncomingResponse) => void])[] = [
      ['alone', () => {}],
      ['after pipeThrough()', (incoming) => incoming.pipeThrough(watched('stage', new PassThrough()))],
      [
        'while it reads through buffer()',
        (incoming) => {
          const loaded = incoming.pipeThrough(watched('stage', new PassThrough())).buffer()
          watched('buffer()', new Readable({ read() {} })).on('error', () => {})
          loaded.catch(() => (left = left.filter((name) => name !== 'buffer()')))
        },
      ],
      [
        'after replace()',
        (incoming) => incoming.replace(watched('body', new Readable({ read() {} })).on('error', () => {})),
      ],
    ]

    for (const [what, hook] of hooks) {
      it(`releases the upstream and all streams when the client leaves: onResponse ${what}`, async () => {
        const { proxy, client, connection } = await responding(hook)
        await leaves(proxy, client)
        await connection.closed()
      })

      if (what === 'after replace()') continue
      it(`ends, with all streams, when the upstream leaves: onResponse ${what}`, async () => {
        const { proxy, client, connection } = await responding(hook)
        connection.destroy()
        await until(() => proxy.stats.requests === 0)
        await until(() => left.length === 0)
        client.leave()
      })
    }

    it('is forgotten when the client leaves, as a target function is', async () => {
      const called = deferred()
      const proxy = proxyOf({ headersTimeoutMs: 0 }, () => {
        called.resolve()
        return never
      })
      const client = await start(proxy)
      await called.promise
      await leaves(proxy, client)
    })
  })
}

describe('onRequest that fails', () => {
  afterEach(closeServers)

  for (const [what, fail] of [
    [
      'throws',
      () => {
        throw new Error('the hook')
      },
    ],
    [
      'sets two lengths',
      (outgoing: OutgoingRequest) => {
        outgoing.headers.append('Content-Length', '1')
        outgoing.headers.append('Content-Length', '2')
      },
    ],
  ] as const) {
    it(`leaves no body behind that it has given if it ${what}`, async () => {
      const body = new PassThrough()
      const closed = once(body, 'close')
      const proxy = passthroughProxy('http://127.0.0.1:1', {
        onRequest(outgoing) {
          outgoing.body = body
          fail(outgoing)
        },
      })
      const { url } = await serve((req, res) => proxy(req, res, () => res.writeHead(500).end()))
      expect((await fetch(url, { method: 'POST', body: 'x' })).status).to.equal(500)
      await closed
    })
  }
})
