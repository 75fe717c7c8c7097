import { expect } from 'chai'
import { hosts } from '../../support/express/hosts.js'
import { closeServers } from '../../support/servers/servers.js'
import { type Change, ChangingApp } from './changing-app.js'

for (const { name, mount } of hosts) {
  const app = new ChangingApp(mount)

  describe(`passthroughProxy, changes of req.headers (${name})`, () => {
    afterEach(closeServers)

    for (const [what, change] of [
      ['deleted', (headers) => delete headers['content-length']],
      ['changed', (headers) => void (headers['content-length'] = '1')],
      ['joined by a coding', (headers) => void (headers['transfer-encoding'] = 'chunked')],
      ['replaced by a coding', (_headers, req) => void (req.headers = { 'transfer-encoding': 'chunked' })],
    ] as readonly (readonly [string, Change])[]) {
      it(`do not change the framing on the wire if the length is ${what}`, async () => {
        const start = 'POST / HTTP/1.1'
        const { head, upstream } = await app.seen({
          start,
          sent: ['Content-Length: 5'],
          body: 'GET /',
          change,
        })
        expect(head)
          .to.match(/\r\ncontent-length: 5\r\n/i)
          .and.not.match(/transfer-encoding/i)
        expect(String(await upstream.bytes(5))).to.equal('GET /')
      })
    }

    for (const [what, change] of [
      ['deleted', (headers) => delete headers['transfer-encoding']],
      ['replaced by a length', (_headers, req) => void (req.headers = { 'content-length': '2' })],
    ] as readonly (readonly [string, Change])[]) {
      it(`do not change the chunks on the wire if their coding is ${what}`, async () => {
        const start = 'POST / HTTP/1.1'
        const body = '5\r\nGET /\r\n0\r\n\r\n'
        const { head, upstream } = await app.seen({
          start,
          sent: ['Transfer-Encoding: chunked'],
          body,
          change,
        })
        expect(head)
          .to.match(/\r\ntransfer-encoding: chunked\r\n/i)
          .and.not.match(/content-length/i)
        expect(String(await upstream.chunkedBody())).to.equal('GET /')
      })
    }

    it('add no body to a request without one', async () => {
      for (const set of [
        { 'content-length': '5' },
        { 'content-length': 'x' },
        { 'transfer-encoding': 'chunked' },
      ]) {
        const change: Change = (headers) => Object.assign(headers, set)
        const { head } = await app.seen({ start: 'POST / HTTP/1.1', sent: ['X-A: 1'], change })
        expect(head.match(/^(?:content-length|transfer-encoding): .*$/gim)).to.deep.equal([
          'content-length: 0',
        ])
      }
    })

    for (const [what, change] of [
      ['a line break in a value', (headers) => void (headers['x-a'] = 'b\r\nX-C: d')],
      ['a value beyond a byte', (headers) => void (headers['x-a'] = '\u2603')],
      ['a name that is none', (headers) => void (headers['x a'] = 'b')],
      ['an object', (headers) => void (headers['x-a'] = {})],
      ['a line break in a list', (headers) => void (headers['x-a'] = ['b', 'c\nd'])],
    ] as readonly (readonly [string, Change])[]) {
      it(`are an error of the application, and send no request, with ${what}`, async () => {
        const { response, error } = await app.refused({ sent: ['X-A: 1'], change })
        expect([response.status, error.code]).to.deep.equal([500, 'ERR_SLUICEWAY_PROXY_HOOK'])
        expect(error.message).to.contain(what.includes('name') ? '"x a"' : '"x-a"')
      })
    }

    it('cannot remove the mark that detects loops', async () => {
      const { head } = await app.seen({
        sent: ['Sluiceway-Loop: abc'],
        change: (_headers, req) => void (req.headers = {}),
      })
      expect(head.match(/^sluiceway-loop: .*$/gim)).to.have.length(2)
    })

    it('turn an upgrade whose Upgrade was deleted into a plain request', async () => {
      const { head } = await app.seen({
        sent: ['Connection: Upgrade', 'Upgrade: websocket'],
        change: (headers) => delete headers['upgrade'],
      })
      expect(head).not.to.match(/upgrade/i)
    })
  })
}
