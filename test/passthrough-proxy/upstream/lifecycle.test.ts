import { inspect } from 'node:util'
import { expect } from 'chai'
import express from 'express'
import { passthroughProxy, type PassthroughProxy, type SluicewayError } from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { attached } from '../../support/servers/attached.js'
import { answer, scriptedUpstream, type ScriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'
import { until } from '../../support/time/until.js'
import { transport } from '../../support/undici/transports.js'
import { REFUSING } from '../targets/dead-targets.js'

const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n'

/** Tells whether a promise has settled by now. */
async function hasSettled(promise: Promise<void>): Promise<boolean> {
  let settled = false
  void promise.then(() => (settled = true))
  await new Promise(setImmediate)
  return settled
}

describe('proxy.stats, close() and destroy()', () => {
  let upstream: ScriptedUpstream
  let proxy: PassthroughProxy
  let errors: SluicewayError[]
  let port: number

  beforeEach(async () => {
    upstream = await scriptedUpstream()
    errors = []
    await start(passthroughProxy(upstream.url))
  })
  afterEach(closeServers)

  async function start(started: PassthroughProxy): Promise<void> {
    proxy = started
    const app = express().use(proxy)
    app.use((error: SluicewayError, _req: unknown, _res: unknown, next: (error: unknown) => void) => {
      errors.push(error)
      next(error)
    })
    ;({ port } = await attached(app))
  }

  /** Sends a request, and waits until the upstream has it. */
  async function sent(
    method = 'GET',
    headers: Record<string, string> = {},
    body = '',
  ): Promise<{ client: RawClient; connection: RawClient }> {
    const client = await RawClient.connect(port)
    client.request(method, `/${method}`, headers)
    client.write(body)
    const connection = await upstream.connectionWith(`${method} `)
    await connection.untilText(`\r\n\r\n${body}`)
    return { client, connection }
  }

  async function streaming(): Promise<{ client: RawClient; connection: RawClient }> {
    const both = await sent()
    both.connection.write(CHUNKED)
    await both.client.untilText('first')
    return both
  }

  async function tunnelled(): Promise<{ client: RawClient; connection: RawClient }> {
    const both = await sent('GET', { Connection: 'Upgrade', Upgrade: 'websocket' })
    both.connection.write(SWITCH)
    await both.client.untilText('\r\n\r\n')
    await until(() => proxy.stats.tunnels > 0)
    return both
  }

  it('counts a request until its answer was handed over', async () => {
    expect(proxy.stats).to.deep.equal({ requests: 0, tunnels: 0 })
    const [one, two] = [await sent(), await streaming()]
    expect({ ...proxy.stats }).to.deep.equal({ requests: 2, tunnels: 0 })
    expect(inspect(proxy.stats), 'what console.log shows').to.equal('{ requests: 2, tunnels: 0 }')
    one.connection.write(answer())
    await one.client.response()
    expect(proxy.stats.requests).to.equal(1)
    two.connection.write('0\r\n\r\n')
    await two.client.untilText('0\r\n\r\n')
    expect(JSON.stringify(proxy.stats)).to.equal('{"requests":0,"tunnels":0}')
    for (const { client } of [one, two]) client.destroy()
  })

  it('counts a tunnel until both sides are closed', async () => {
    const { client, connection } = await tunnelled()
    expect(proxy.stats).to.deep.equal({ requests: 0, tunnels: 1 })
    client.socket.end()
    await connection.closed()
    expect(proxy.stats.tunnels).to.equal(1)
    connection.write('late')
    await client.untilText('late')
    connection.socket.end()
    await until(() => proxy.stats.tunnels === 0)
  })

  for (const [what, leave] of [
    ['whose client leaves', ({ client }: { client: RawClient }) => client.socket.resetAndDestroy()],
    [
      'whose upstream dies',
      ({ connection }: { connection: RawClient }) => connection.socket.resetAndDestroy(),
    ],
  ] as const) {
    for (const [kind, open] of Object.entries({ request: sent, stream: streaming, tunnel: tunnelled })) {
      it(`do not count a ${kind} ${what}`, async () => {
        const both = await open()
        leave(both)
        await until(() => proxy.stats.requests + proxy.stats.tunnels === 0)
        both.client.destroy()
      })
    }
  }

  it('do not count a request that was refused, nor one whose function failed', async () => {
    await start(passthroughProxy(() => Promise.reject(new Error('no target'))))
    const client = await RawClient.connect(port)
    client.request('GET', '/')
    expect((await client.response()).status).to.equal(500)
    expect(proxy.stats).to.deep.equal({ requests: 0, tunnels: 0 })
    client.destroy()
  })

  it('close() waits for requests and tunnels, and refuses new ones', async () => {
    const [request, stream, tunnel] = [await sent(), await streaming(), await tunnelled()]
    const closed = proxy.close()
    expect(proxy.close()).to.equal(closed)
    const refused = await RawClient.connect(port)
    refused.request('GET', '/')
    expect((await refused.response()).status).to.equal(502)
    request.connection.write(answer())
    expect((await request.client.response()).status).to.equal(200)
    stream.connection.write('0\r\n\r\n')
    await stream.client.untilText('0\r\n\r\n')
    expect(await hasSettled(closed)).to.equal(false)
    tunnel.connection.write('still there')
    await tunnel.client.untilText('still there')
    tunnel.client.socket.resetAndDestroy()
    await closed
    for (const { client } of [request, stream]) client.destroy()
    refused.destroy()
  })

  for (const [what, proxyWith] of Object.entries({
    onRequest: (asked: Promise<void>) => passthroughProxy(upstream.url, { onRequest: () => asked }),
    'its target function': (asked: Promise<void>) => passthroughProxy(() => asked.then(() => upstream.url)),
    'its target function after a failure': (asked: Promise<void>) =>
      passthroughProxy((_req, failed) => (failed ? asked.then(() => upstream.url) : REFUSING)),
  })) {
    it(`close() lets a request go on that waits for ${what}, and keeps no connection for it`, async () => {
      const asked = deferred()
      await start(proxyWith(asked.promise))
      const client = await RawClient.connect(port)
      client.request('POST', '/', {}, 'body')
      await until(() => proxy.stats.requests === 1)
      const closed = proxy.close()
      expect(await hasSettled(closed)).to.equal(false)
      asked.resolve()
      const connection = await upstream.connectionWith('POST ')
      await connection.untilText('body')
      connection.write(answer())
      expect((await client.response()).status).to.equal(200)
      await closed
      if (transport === 'built-in') await connection.closed()
      client.destroy()
    })
  }

  it('close() is fulfilled at once if nothing is in progress', async () => {
    const { client, connection } = await sent()
    connection.write(answer())
    await client.response()
    await proxy.close()
    client.destroy()
  })

  it('destroy() ends everything in progress: 502 before the head, a cut after it and of tunnels', async () => {
    const [request, upload, stream, tunnel] = [
      await sent(),
      await sent('POST', { 'Content-Length': '10' }, 'half'),
      await streaming(),
      await tunnelled(),
    ]
    const closed = proxy.close()
    expect(await hasSettled(closed)).to.equal(false)
    await proxy.destroy()
    await closed
    expect(proxy.stats).to.deep.equal({ requests: 0, tunnels: 0 })
    for (const { client } of [request, upload]) expect((await client.response()).status).to.equal(502)
    for (const { client } of [stream, tunnel]) await client.closed()
    expect(stream.client.pending.toString()).not.to.include('0\r\n\r\n')
    for (const { connection } of [request, upload, stream, tunnel]) await connection.closed()
    expect(errors.map(({ code }) => code)).to.deep.equal(Array(3).fill('ERR_SLUICEWAY_UPSTREAM_UNREACHABLE'))
    for (const { client } of [request, upload]) client.destroy()
  })

  it('destroy() ends a request whose target function has not settled', async () => {
    let asked = 0
    await start(
      passthroughProxy(() => {
        asked += 1
        return new Promise(() => {})
      }),
    )
    const client = await RawClient.connect(port)
    client.request('GET', '/')
    await until(() => asked === 1)
    await proxy.destroy()
    expect((await client.response()).status).to.equal(502)
    client.destroy()
  })

  it('destroy() of a proxy leaves requests of an equal one', async () => {
    const other = await sent()
    const first = proxy
    await start(passthroughProxy(upstream.url))
    const { client, connection } = await sent()
    await proxy.destroy()
    expect((await client.response()).status).to.equal(502)
    await connection.closed()
    expect(first.stats.requests).to.equal(1)
    other.connection.write(answer())
    expect((await other.client.response()).status).to.equal(200)
    for (const each of [other.client, client]) each.destroy()
  })
})
