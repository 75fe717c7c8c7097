import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { expect } from 'chai'
import express from 'express'
import { passthroughProxy, type PassthroughProxy } from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { collectedBytes } from '../../support/process/memory.js'
import { attached } from '../../support/servers/attached.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'

/** Lets the garbage be collected. */
const collect = collectedBytes

describe('the response to an upgrade, once it is a tunnel', () => {
  let client: RawClient
  let proxy: PassthroughProxy
  let res: ServerResponse | undefined
  let held: WeakRef<IncomingMessage | ServerResponse>[]

  /** Opens a tunnel whose response `watch` may listen to. */
  async function tunnelled(watch: (res: ServerResponse) => void = () => {}): Promise<void> {
    const upstream = await serve(() => {})
    upstream.server.on('upgrade', (_req, socket) => {
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello',
      )
      socket.on('end', () => socket.end())
    })
    proxy = passthroughProxy(upstream.url)
    const app = express().use((_req, answer, next) => {
      res = answer
      held = [new WeakRef(answer.req), new WeakRef(answer)]
      watch(answer)
      next()
    }, proxy)
    client = await RawClient.connect((await attached(app)).port)
    client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    await client.untilText('hello')
  }

  afterEach(() => {
    res = undefined
    client.destroy()
    return closeServers()
  })

  it('is held by nothing, and neither is the request', async () => {
    await tunnelled()
    res = undefined
    await collect()
    expect(held.map((each) => each.deref())).to.deep.equal([undefined, undefined])
  })

  it('closes with the tunnel for code that has it', async () => {
    await tunnelled()
    const { socket } = res!
    expect([res!.closed, socket?.destroyed]).to.deep.equal([false, false])
    client.destroy()
    await once(socket!, 'close')
    expect([res!.closed, res!.destroyed]).to.deep.equal([true, true])
  })

  it("emits 'close' with the tunnel to a listener that was there before", async () => {
    const { promise, resolve } = deferred()
    await tunnelled((answer) => answer.on('close', resolve))
    res = undefined
    await collect()
    client.destroy()
    await promise
  })

  it('ends the tunnel if code ends it', async () => {
    await tunnelled()
    res!.end()
    await client.closed()
  })

  it('lets the tunnel be forgotten once both sides have ended', async () => {
    await tunnelled()
    expect(proxy.stats.tunnels).to.equal(1)
    client.socket.end()
    await proxy.close()
  })

  it("emits 'close' with the tunnel to a listener that was added later", async () => {
    const { promise, resolve } = deferred()
    await tunnelled()
    res!.on('close', resolve)
    res = undefined
    await collect()
    client.destroy()
    await promise
  })
})
