import { PassThrough } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { expect } from 'chai'
import { bodyCache } from 'sluiceway/body-cache'
import { RawClient } from '../../support/clients/raw-client.js'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { until } from '../../support/time/until.js'

for (const { name, mount } of hosts) {
  describe(`bodyCache on ${name}`, () => {
    afterEach(closeServers)

    it('answers the next requests on the connection, whether bodies were read whole, in part or not at all', async () => {
      const read: Handler[] = [
        (_req, res) => res.end(),
        (req, res) => void text(req).then(() => res.end()),
        (req, res) => void req.once('data', () => res.end()),
        (req, res) => void req.bodyCache.text().then(() => res.end()),
        (req, res) => void req.pipe(new PassThrough()).once('data', () => res.end()),
      ]
      let turn = 0
      const { port, connections } = await serve(
        mount(bodyCache(), (req, res, next) => read[turn++ % read.length]!(req, res, next)),
      )
      const client = await RawClient.connect(port)
      for (let round = 0; round < 100; round++) {
        client.request(
          'POST',
          '/',
          {},
          round % 2 === 0 ? ['x'.repeat(1000), 'y'.repeat(70_000)] : 'z'.repeat(1000),
        )
        expect((await client.response()).status).to.equal(200)
      }
      expect(connections).to.have.length(1)
      client.destroy()
    })

    it('gives an error that explains the cause when the body was read before it', async () => {
      const readFirst: Handler = (req, _res, next) => void text(req).then(() => next())
      const { url } = await serve(mount(readFirst, bodyCache(), (_req, res) => res.end('let through')))
      const response = await fetch(url, { method: 'POST', body: 'abc' })
      expect(response.status).to.equal(500)
    })

    it('uses req.rawBody as the body that a host had read before it', async () => {
      const host: Handler = (req, _res, next) => {
        void buffer(req).then((rawBytes) => next(void Object.assign(req, { rawBody: rawBytes })))
      }
      const { url } = await serve(
        mount(host, bodyCache(), (req, res) => void text(req).then((body) => res.end(body))),
      )
      expect(await (await fetch(url, { method: 'POST', body: 'abc' })).text()).to.equal('abc')
    })

    it('keeps a body that is complete, but unread, before a slow middleware lets it pass', async () => {
      const wait: Handler = async (req, _res, next) => {
        await until(() => req.complete)
        next()
      }
      const readTwice: Handler = async (req, res) => res.end((await text(req)) + (await text(req)))
      const { url } = await serve(mount(wait, bodyCache(), readTwice))
      expect(await (await fetch(url, { method: 'POST', body: 'abc' })).text()).to.equal('abcabc')
    })

    it('refuses a body over its limit like maxBytes', async () => {
      const { url } = await serve(mount(bodyCache({ limit: 2 }), (_req, res) => res.end('let through')))
      const response = await fetch(url, { method: 'POST', body: 'abc' })
      expect([response.status, response.headers.get('connection')]).to.deep.equal([413, 'close'])
    })

    it('can be mounted twice', async () => {
      const { url } = await serve(
        mount(bodyCache(), bodyCache(), (req, res) => void text(req).then((body) => res.end(body))),
      )
      expect(await (await fetch(url, { method: 'POST', body: 'abc' })).text()).to.equal('abc')
    })
  })
}
