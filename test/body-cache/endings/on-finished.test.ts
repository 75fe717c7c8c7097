import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { expect } from 'chai'
import onFinished from 'on-finished'
import { bodyCache } from 'sluiceway/body-cache'
import { RawClient } from '../../support/clients/raw-client.js'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'
import { codeOf } from '../reading.js'

const { mount } = hosts[0]!
const HEAD = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n'

/** Starts a server, writes to it, and returns the exchange that comes to the end of its handlers. */
async function exchangeBehind(
  written: string,
  ...handlers: Handler[]
): Promise<{ client: RawClient; req: IncomingMessage; res: ServerResponse }> {
  const { promise, resolve } = deferred<[IncomingMessage, ServerResponse]>()
  const { port } = await serve(mount(...handlers, (req, res) => resolve([req, res])))
  const client = await RawClient.connect(port)
  client.write(written)
  const [req, res] = await promise
  return { client, req, res }
}

/** Why lib/node/response/close.ts is no call of on-finished: in each case it would release a body too late or too early. */
describe('the end of a response, for on-finished and for bodyCache', () => {
  afterEach(closeServers)

  it('that waits behind another and whose client leaves: on-finished never reports it', async () => {
    const first: Handler = (req, _, next) => {
      if (req.url === '/') next()
    }
    const request = `GET /first HTTP/1.1\r\nHost: a\r\n\r\n${HEAD}body`
    const { client, req, res } = await exchangeBehind(request, first, bodyCache())
    let isTold = false
    onFinished(res, () => (isTold = true))
    expect((await req.bodyCache.buffer()).toString()).to.equal('body')
    client.destroy()
    await once(res, 'close')
    expect(await codeOf(req.bodyCache.buffer())).to.equal('ERR_SLUICEWAY_BODY_RELEASED')
    await new Promise(setImmediate)
    expect(isTold).to.equal(false)
  })

  it('whose client leaves in the middle of its body: on-finished reports it before the abort', async () => {
    const { client, req, res } = await exchangeBehind(`${HEAD}bo`, bodyCache())
    const read = codeOf(req.bodyCache.buffer())
    const told: string[] = []
    onFinished(res, () => told.push('on-finished'))
    req.on('error', () => told.push('aborted'))
    client.destroy()
    expect(await read).to.equal('ERR_SLUICEWAY_BODY_ABORTED')
    expect(told).to.deep.equal(['on-finished', 'aborted'])
  })

  it('that its client reads slowly: on-finished reports it at once, if asked then', async () => {
    const { client, req, res } = await exchangeBehind(`${HEAD}bo`)
    client.socket.pause()
    res.end(Buffer.alloc(50_000_000))
    bodyCache()(req, res, () => {})
    const read = req.bodyCache.buffer()
    await new Promise((resolve) => onFinished(res, resolve))
    expect(res.closed).to.equal(false)
    client.write('dy')
    expect((await read).toString()).to.equal('body')
    client.destroy()
  })
})
