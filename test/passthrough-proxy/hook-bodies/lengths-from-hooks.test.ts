import { Readable } from 'node:stream'
import { expect } from 'chai'
import type { IncomingResponse, OutgoingRequest } from 'sluiceway'
import { expressVersions } from '../../support/express/express-versions.js'
import { proxied, request } from '../../support/servers/proxied.js'
import { answer } from '../../support/servers/scripted-upstream.js'
import { closeServers } from '../../support/servers/servers.js'
import { upperCase } from './transforms.js'

const HOOK = 'ERR_SLUICEWAY_PROXY_HOOK'

/** Every way in which a hook has a body in memory, which is 'own' each time. */
const inMemory: readonly (readonly [string, (incoming: IncomingResponse) => unknown])[] = [
  ['replace() with a string', (incoming) => incoming.replace('own')],
  ['replace() with bytes', (incoming) => incoming.replace(Buffer.from('own'))],
  ['buffer() of a changed body', async (incoming) => void (await incoming.pipeThrough(upperCase()).buffer())],
]

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy with a Content-Length from a hook (${name})`, () => {
    afterEach(closeServers)

    for (const [what, change] of inMemory) {
      for (const length of ['2', '1000']) {
        it(`answers 500 if onResponse sets ${length} after ${what}`, async () => {
          const { exchange, errors } = await proxied({
            express,
            async onResponse(incoming) {
              await change(incoming)
              incoming.headers.set('Content-Length', length)
            },
          })
          const { response } = await exchange(request('GET', '/'), answer('own'))
          expect(response.status).to.equal(500)
          expect(errors[0]).to.include({ code: HOOK })
          expect(String(errors[0]?.cause)).to.include(`Content-Length is ${length}, but the body has 3 bytes`)
        })
      }

      it(`sends the body if onResponse sets its length after ${what}`, async () => {
        const { exchange } = await proxied({
          express,
          async onResponse(incoming) {
            await change(incoming)
            incoming.headers.set('Content-Length', '3')
          },
        })
        const { response } = await exchange(request('GET', '/'), answer('own'))
        expect([response.status, response.body.toString().toLowerCase()]).to.deep.equal([200, 'own'])
      })
    }

    it('leaves the length for HEAD to onResponse', async () => {
      const { exchange } = await proxied({
        express,
        onResponse: (incoming) => incoming.replace(null).headers.set('Content-Length', '1000'),
      })
      const { response } = await exchange(request('HEAD', '/'), answer('').replace('Length: 0', 'Length: 7'))
      expect(response.status).to.equal(200)
      expect(response.headers['content-length']).to.deep.equal(['1000'])
    })

    it('sends no length with a 204, whatever onResponse sets for the body that it gives', async () => {
      const { exchange } = await proxied({
        express,
        onResponse: (incoming) => incoming.replace(Readable.from(['own'])).headers.set('Content-Length', '3'),
      })
      const { response } = await exchange(request('GET', '/'), 'HTTP/1.1 204 No Content\r\n\r\n')
      expect([response.status, response.headers['content-length']]).to.deep.equal([204, undefined])
    })

    it('cuts the client off if a stream of onResponse is shorter than its Content-Length', async () => {
      const { client, upstream, errors } = await proxied({
        express,
        onResponse: (incoming) =>
          incoming.replace(Readable.from(['own'])).headers.set('Content-Length', '1000'),
      })
      client.request('GET', '/')
      ;(await upstream.connection()).write(answer('theirs'))
      await client.closed()
      expect(client.pending.toString()).not.to.include('theirs')
      expect(errors[0]).to.include({ code: HOOK })
    })

    for (const [what, body] of [
      ['a string', () => 'own'],
      ['bytes', () => Buffer.from('own')],
      ['a stream', () => Readable.from([Buffer.from('own')])],
    ] as const) {
      for (const length of ['2', '1000']) {
        it(`answers 500 if onRequest sets ${length} for ${what} of 3 bytes`, async () => {
          const { client, errors } = await proxied({
            express,
            onRequest(outgoing: OutgoingRequest) {
              outgoing.body = body()
              outgoing.headers.set('Content-Length', length)
            },
          })
          client.request('POST', '/', {}, 'theirs')
          expect((await client.response()).status).to.equal(500)
          expect(errors[0]).to.include({ code: HOOK })
        })
      }
    }
  })
}
