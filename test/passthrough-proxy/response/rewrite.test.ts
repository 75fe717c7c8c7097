import type { RequestListener } from 'node:http'
import { expect } from 'chai'
import { passthroughProxy, type PassthroughProxyOptions } from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { attached } from '../../support/servers/attached.js'
import { request } from '../../support/servers/proxied.js'
import { scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers } from '../../support/servers/servers.js'
import { Rewriting } from './rewriting.js'

for (const { name, express } of expressVersions) {
  const rewriting = new Rewriting(express)

  describe(`passthroughProxy rewriting (${name})`, () => {
    afterEach(closeServers)

    it('rewrites the lines of a 101 too', async () => {
      const upstream = await scriptedUpstream()
      const options = { cookiePath: true, cookieDomain: true, rewriteLocation: true }
      const app = express().use('/api', passthroughProxy(`${upstream.url}/v1`, options))
      const client = await RawClient.connect((await attached(app as RequestListener)).port)
      client.write(request('GET', '/api/chat', 'Connection: Upgrade', 'Upgrade: websocket'))
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      const cookie = 'Set-Cookie: a=1; Path=/v1; Domain=127.0.0.1\r\nContent-Location: /v1/chat\r\n'
      connection.write(`HTTP/1.1 101 OK\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${cookie}\r\n`)
      const head = await client.untilText('\r\n\r\n')
      expect(head).to.contain('\r\nSet-Cookie: a=1; Path=/api\r\nContent-Location: /api/chat\r\n')
    })

    it('is off: every line stays as the upstream wrote it', async () => {
      const lines = ['Location: http://UPSTREAM/v1/x', 'Set-Cookie: a=1; Domain=UPSTREAM; Path=/v1']
      const { head } = await rewriting.answered(lines, { cookieDomain: false })
      expect(head.split('\r\n').slice(1, 3)).to.deep.equal(lines)
    })
  })
}

describe('passthroughProxy rewriting options', () => {
  for (const [options, message] of [
    [{ rewriteLocation: 1 }, /option "rewriteLocation" must be true, false, a URL or a path .*, got 1/],
    [{ rewriteLocation: null }, /option "rewriteLocation"/],
    [{ rewriteLocation: '' }, /option "rewriteLocation"/],
    [{ rewriteLocation: 'www.example.org' }, /option "rewriteLocation"/],
    [{ rewriteLocation: '//www.example.org' }, /option "rewriteLocation"/],
    [{ rewriteLocation: 'https://user@www.example.org' }, /option "rewriteLocation"/],
    [{ rewriteLocation: 'https://www.example.org/?a' }, /option "rewriteLocation"/],
    [{ rewriteLocation: 'https://[bad' }, /option "rewriteLocation"/],
    [{ rewriteLocation: 'ahttp://example.org' }, /option "rewriteLocation"/],
    [{ rewriteLocation: '/a?b' }, /option "rewriteLocation"/],
    [{ rewriteLocation: '/a\r\nb' }, /option "rewriteLocation"/],
    [{ rewriteLocation: 'https://www.example.org/日本' }, /option "rewriteLocation"/],
    [{ rewriteLocation: { '/a': '/b\n' } }, /option "rewriteLocation" .* for the key "\/a"/],
    [
      { rewriteLocation: { '/a': '/b', '/c': '//d' } },
      /option "rewriteLocation" must be an object whose values are each a URL .*, got "\/\/d" for the key "\/c"/,
    ],
    [{ rewriteLocation: ['/a'] }, /option "rewriteLocation"/],
    [{ rewriteLocation: { '/a': 1 } }, /option "rewriteLocation"/],
    [{ cookieDomain: 'https://example.org' }, /option "cookieDomain" must be .*a domain such as/],
    [{ cookieDomain: 'a b' }, /option "cookieDomain"/],
    [{ cookieDomain: 'a.b!' }, /option "cookieDomain"/],
    [{ cookieDomain: { a: 'x; Secure' } }, /option "cookieDomain" .* got "x; Secure" for the key "a"/],
    [{ cookiePath: 'app/x' }, /option "cookiePath"/],
    [{ cookiePath: 'app' }, /option "cookiePath" must be .*a path such as/],
    [{ cookiePath: '/a;b' }, /option "cookiePath"/],
    [{ cookiePath: '/a\r\nb' }, /option "cookiePath"/],
    [
      { rewriteLocation: true, path: () => '/' },
      /option "rewriteLocation" cannot be true together with "path"/,
    ],
    [{ cookiePath: true, path: () => '/' }, /option "cookiePath" cannot be true together with "path"/],
  ] as [PassthroughProxyOptions, RegExp][]) {
    it(`refuse ${JSON.stringify(options)}`, () => {
      expect(() => passthroughProxy('http://127.0.0.1:9', options)).to.throw(TypeError, message)
    })
  }

  it('take a string beside path', () => {
    const options = { path: () => '/', rewriteLocation: '/app', cookieDomain: true } as const
    expect(() => passthroughProxy('http://127.0.0.1:9', options)).not.to.throw()
  })
})
