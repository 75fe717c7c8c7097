import { createServer } from 'node:http'
import net from 'node:net'
import { Readable } from 'node:stream'
import { expect } from 'chai'
import express, { type NextFunction, type Request, type Response } from 'express'
import { passthroughProxy, type PassthroughProxyOptions, type SluicewayError } from 'sluiceway'
import { closeServers, listen, serve } from '../../support/servers/servers.js'
import { until } from '../../support/time/until.js'

interface Proxied {
  readonly url: string
  readonly proxy: ReturnType<typeof passthroughProxy>
}

async function proxied(options: PassthroughProxyOptions): Promise<Proxied> {
  const upstream = await listen(createServer((_req, res) => res.end('of the upstream')))
  const proxy = passthroughProxy(`http://127.0.0.1:${upstream.port}`, options)
  const app = express().use(proxy)
  // oxlint-disable-next-line max-params
  app.use((error: SluicewayError, _req: Request, res: Response, _next: NextFunction) => {
    res.status(error.status).send(error.code)
  })
  const { url } = await serve(app)
  return { url, proxy }
}

/** A stream that was given a `destroy` of its own, as some wrappers do. */
function indestructible(): Readable {
  const stream = new Readable({ read: () => {} })
  stream.destroy = () => {
    throw new Error('it cannot be destroyed')
  }
  return stream
}

/** The options with a hook that counts its calls, and never settles. */
type NeverSettled = (calls: { count: number }) => PassthroughProxyOptions

function neverSettle(calls: { count: number }): Promise<never> {
  calls.count += 1
  return new Promise(() => {})
}

describe('a hook of passthroughProxy that does what no hook should', () => {
  afterEach(closeServers)

  it('fails with 500 if it freezes the request, which then cannot be released', async () => {
    const { url, proxy } = await proxied({ onRequest: (outgoing) => void Object.freeze(outgoing) })
    expect((await fetch(url)).status).to.equal(500)
    expect(proxy.stats.requests).to.equal(0)
  })

  for (const [how, onResponse] of [
    ['', (incoming) => void Object.freeze(incoming)],
    [' after a wait', async (incoming) => void Object.freeze(await Promise.resolve(incoming))],
  ] as readonly (readonly [string, PassthroughProxyOptions['onResponse']])[]) {
    it(`gets its response if it freezes it${how}`, async () => {
      const { url, proxy } = await proxied({ onResponse })
      expect(await (await fetch(url)).text()).to.equal('of the upstream')
      await until(() => proxy.stats.requests === 0)
    })
  }

  it('fails with 500 if it throws, and its body cannot be destroyed', async () => {
    const onRequest: PassthroughProxyOptions['onRequest'] = (outgoing) => {
      outgoing.body = indestructible()
      throw new Error('a fault')
    }
    const { url, proxy } = await proxied({ onRequest })
    expect((await fetch(url, { method: 'POST', body: 'x' })).status).to.equal(500)
    expect(proxy.stats.requests).to.equal(0)
  })

  for (const [hook, optionsFor] of [
    [
      'onRequest',
      (calls) => ({ onRequest: (outgoing) => ((outgoing.body = indestructible()), neverSettle(calls)) }),
    ],
    [
      'onResponse',
      (calls) => ({ onResponse: (incoming) => (incoming.replace(indestructible()), neverSettle(calls)) }),
    ],
  ] as readonly (readonly [string, NeverSettled])[]) {
    it(`holds no count once the client has left: a body that cannot be destroyed, in ${hook}`, async () => {
      const calls = { count: 0 }
      const { url, proxy } = await proxied(optionsFor(calls))
      const client = net.connect(Number(new URL(url).port), '127.0.0.1')
      client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
      await until(() => calls.count === 1)
      client.destroy()
      await until(() => proxy.stats.requests === 0)
      await proxy.close()
    })
  }

  it('leaves the reason phrase of its refused head to the answer that reports it', async () => {
    const { url } = await proxied({ onResponse: (incoming) => incoming.headers.set('X-Price', '5 €') })
    const { status, statusText } = await fetch(url)
    expect({ status, statusText }).to.deep.equal({ status: 500, statusText: 'Internal Server Error' })
  })
})
