import { expect } from 'chai'
import type { PassthroughProxyOptions } from 'sluiceway'
import { expressVersions } from '../../support/express/express-versions.js'
import { proxied, request } from '../../support/servers/proxied.js'
import { answer } from '../../support/servers/scripted-upstream.js'
import { closeServers } from '../../support/servers/servers.js'
import { type Place, Rewriting } from './rewriting.js'

for (const { name, express } of expressVersions) {
  const rewriting = new Rewriting(express)

  describe(`passthroughProxy rewriting cookies (${name})`, () => {
    afterEach(closeServers)

    describe('cookieDomain and cookiePath', () => {
      const both = { cookieDomain: true, cookiePath: true } as const
      const hosted = { hostname: 'localhost' }
      for (const [options, sent, received, place] of [
        [both, 'a=1; Domain=localhost; Path=/v1/x; HttpOnly', 'a=1; Path=/api/x; HttpOnly', hosted],
        [both, 'a=1;domain=.LOCALHOST;PATH=/v1;Secure', 'a=1;PATH=/api;Secure', hosted],
        [both, 'a=1; Domain=other.example; Path=/other', 'a=1; Domain=other.example; Path=/other', hosted],
        [both, 'a=1; Domain=host; Path=/v10', 'a=1; Domain=host; Path=/v10', hosted],
        [both, 'a=1', 'a=1', hosted],
        [both, 'a=1; Domain; Path; Domain=; Path=', 'a=1; Domain; Path; Domain=; Path=', hosted],
        [
          both,
          '__Host-a=1; Secure; Path=/; Domain=localhost',
          '__Host-a=1; Secure; Path=/; Domain=localhost',
          { hostname: 'localhost', prefix: '' },
        ],
        [both, '__Secure-a=1; Secure; Path=/', '__Secure-a=1; Secure; Path=/api', { prefix: '' }],
        [both, 'a__Host-b=1; Path=/', 'a__Host-b=1; Path=/api', { prefix: '' }],
        [both, 'a=1; Path=/x', 'a=1; Path=/api/x', { prefix: '' }],
        [both, 'a=1; Path=', 'a=1; Path=', { prefix: '' }],
        // A domain above the upstream's own.
        [both, 'a=1; Domain=0.0.1', 'a=1', {}],
        [{ cookieDomain: 'localhost' }, 'a=1; Domain=127.0.0.1', 'a=1; Domain=localhost'],
        [{ cookiePath: { '*': '/n' } }, 'a=1; Paths', 'a=1; Paths'],
        [both, 'a="x, y"; Path = /v1 ; Max-Age=1', 'a="x, y"; Path =/api; Max-Age=1', hosted],
        [both, 'a="x"; Path="/v1"', 'a="x"; Path="/v1"', hosted],
        [both, 'path=/v1; Path=/v1/', 'path=/v1; Path=/api/', hosted],
        [both, 'a=1; Path=/v1/x', 'a=1; Path=/x', { mount: '/' }],
        [both, 'a=1; Path=/v1', 'a=1; Path=/', { mount: '/' }],
        [both, 'a=1; Path=/V1', 'a=1; Path=/V1', hosted],
        [{ cookieDomain: 'example.org' }, 'a=1; Domain=localhost', 'a=1; Domain=example.org', hosted],
        [{ cookieDomain: '' }, 'a=1; Domain=localhost; Path=/v1', 'a=1; Path=/v1', hosted],
        [{ cookieDomain: 'example.org' }, 'a=1; Path=/v1', 'a=1; Path=/v1', hosted],
        [
          { cookieDomain: { 'Old.example': 'new.example' } },
          'a=1; Domain=.old.example',
          'a=1; Domain=new.example',
        ],
        [{ cookieDomain: { 'old.example': '' } }, 'a=1; Domain=x.old.example', 'a=1; Domain=x.old.example'],
        [{ cookieDomain: { '*': '' } }, 'a=1; Domain=any.example', 'a=1'],
        [
          { cookieDomain: (domain: string) => `x.${domain}` },
          'a=1; Domain=a.example',
          'a=1; Domain=x.a.example',
        ],
        [{ cookiePath: '/app' }, 'a=1; Path=/v1/x', 'a=1; Path=/app/x'],
        [{ cookiePath: '/' }, 'a=1; Path=/v1/x', 'a=1; Path=/x'],
        [{ cookiePath: { '/two/': '/one/' } }, 'a=1; Path=/two/x', 'a=1; Path=/one/x'],
        [{ cookiePath: { '/two/': '/one/' } }, 'a=1; Path=/two', 'a=1; Path=/two'],
        [{ cookiePath: { '/': '/app' } }, 'a=1; Path=/x', 'a=1; Path=/app/x'],
        [{ cookiePath: { '*': '/' } }, 'a=1; Path=/any', 'a=1; Path=/'],
        [{ cookiePath: () => '' }, 'a=1; Path=/any', 'a=1'],
      ] as [PassthroughProxyOptions, string, string, Place?][]) {
        it(`${JSON.stringify(options)} turns ${JSON.stringify(sent)} into ${JSON.stringify(received)}`, async () => {
          expect(await rewriting.line(`Set-Cookie: ${sent}`, options, place)).to.equal(
            `Set-Cookie: ${received}`,
          )
        })
      }

      it('add no attribute that a client has put into a mount parameter', async () => {
        const { exchange } = await proxied({ express, mount: '/:tenant', cookiePath: true })
        const { response } = await exchange(
          request('GET', '/a;Domain=evil.example/x'),
          answer('', 'Set-Cookie: a=1; Path=/\r\n'),
        )
        expect(response.headers['set-cookie']).to.deep.equal(['a=1; Path=/a%3BDomain=evil.example'])
      })

      it('rewrite each of several cookies, and keep their lines separate', async () => {
        const cookies = ['a=1; Path=/v1', 'b=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Path=/v1/b', 'c=3']
        const { headers } = await rewriting.answered(
          cookies.map((cookie) => `Set-Cookie: ${cookie}`),
          both,
        )
        expect(headers['set-cookie']).to.deep.equal([
          'a=1; Path=/api',
          'b=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Path=/api/b',
          'c=3',
        ])
      })
    })
  })
}
