import { expect } from 'chai'
import type { IncomingResponse } from 'sluiceway'
import { expressVersions } from '../../support/express/express-versions.js'
import { proxied, request } from '../../support/servers/proxied.js'
import { answer } from '../../support/servers/scripted-upstream.js'
import { closeServers } from '../../support/servers/servers.js'
import { upperCase } from '../hook-bodies/transforms.js'

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy, changes of a response that cannot be made (${name})`, () => {
    afterEach(closeServers)

    for (const method of ['decode', 'pipeThrough'] as const) {
      it(`does not change a part of a document with ${method}, and says what to do`, async () => {
        const { exchange, errors } = await proxied({
          express,
          onResponse: (incoming) =>
            void (method === 'decode' ? incoming.decode() : incoming.pipeThrough(upperCase())),
        })
        const part =
          'HTTP/1.1 206 Partial Content\r\nContent-Encoding: gzip\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 2\r\n\r\nab'
        const { response } = await exchange(request('GET', '/', 'Range: bytes=0-1'), part)
        expect(response.status).to.equal(500)
        expect(String(errors[0]?.cause)).to.match(
          /^TypeError: \w+\(\) cannot change a part.*delete Range and If-Range/,
        )
      })
    }

    it('passes on a 206 that the hook leaves alone', async () => {
      const { exchange } = await proxied({ express, onResponse: ({ headers }) => headers.set('X-Seen', '1') })
      const part = 'HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 2\r\n\r\nab'
      const { response } = await exchange(request('GET', '/', 'Range: bytes=0-1'), part)
      expect(response).to.deep.include({ status: 206, body: Buffer.from('ab') })
      expect(response.headers['content-length']).to.deep.equal(['2'])
    })

    it('throws for a change that comes too late', async () => {
      let kept: IncomingResponse | undefined
      const { exchange } = await proxied({ express, onResponse: (incoming) => void (kept = incoming) })
      await exchange(request('GET', '/'))
      expect(() => kept?.pipeThrough(upperCase())).to.throw(TypeError, 'pipeThrough() comes too late')
      expect(() => kept?.decode()).to.throw(TypeError, 'decode() comes too late')
      expect(() => kept?.replace('x')).to.throw(TypeError, 'replace() comes too late')
      expect(() => kept?.buffer()).to.throw(TypeError, 'buffer() comes too late')
    })

    for (const [what, given, got] of [
      ['a function', () => {}, 'got a function'],
      ['null', null, 'got null'],
      ['an object', {}, 'got an object'],
      ['half a pair', { readable: new TransformStream().readable }, 'got an object'],
    ] as const) {
      it(`throws for a transform that is ${what}`, async () => {
        const { exchange, errors } = await proxied({
          express,
          onResponse: (incoming) => void incoming.pipeThrough(given as never),
        })
        expect((await exchange(request('GET', '/'))).response.status).to.equal(500)
        expect(String(errors[0]?.cause))
          .to.match(/^TypeError: pipeThrough takes a Duplex/)
          .and.include(got)
      })
    }

    it('refuses a transform that another body has, or that has ended', async () => {
      const shared = upperCase()
      const ended = upperCase().destroy()
      for (const [transform, message] of [
        [shared, undefined],
        [shared, 'this transform is in use: create one for each body'],
        [ended, 'this transform has ended before'],
      ] as const) {
        const { exchange, errors } = await proxied({
          express,
          onResponse: (incoming) => void incoming.pipeThrough(transform),
        })
        const { response } = await exchange(request('GET', '/'), answer('body'))
        expect(response.status).to.equal(message === undefined ? 200 : 500)
        expect(errors.map(({ cause }) => String(cause))).to.deep.equal(
          message === undefined ? [] : [`TypeError: ${message}`],
        )
      }
    })
  })
}
