import type { IncomingMessage } from 'node:http'
import { expect } from 'chai'
import type { PassthroughProxyOptions } from 'sluiceway'
import { withEntry } from '../../support/error-entry.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { cpuOf } from '../../support/process/cpu.js'
import { proxied, request } from '../../support/servers/proxied.js'
import { answer } from '../../support/servers/scripted-upstream.js'
import { closeServers } from '../../support/servers/servers.js'
import { type Place, Rewriting } from './rewriting.js'

for (const { name, express } of expressVersions) {
  const rewriting = new Rewriting(express)

  describe(`passthroughProxy rewriting redirects (${name})`, () => {
    afterEach(closeServers)

    describe('rewriteLocation: true', () => {
      for (const [sent, received, place] of [
        ['http://UPSTREAM/v1/login?next=%2Fa#b', '/api/login?next=%2Fa#b'],
        ['HTTP://UPSTREAM/v1/x', '/api/x'],
        ['//UPSTREAM/v1/x', '/api/x'],
        ['/v1/x', '/api/x'],
        ['http://UPSTREAM/v1', '/api'],
        ['http://UPSTREAM/v1/', '/api/'],
        ['http://UPSTREAM/v1?a', '/api?a'],
        ['/v1/%zz//x;y', '/api/%zz//x;y'],
        ['http://UPSTREAM', '/', { mount: '/', prefix: '' }],
        ['http://UPSTREAM?a', '/?a', { mount: '/', prefix: '' }],
        ['http://UPSTREAM', '/api', { prefix: '' }],
        ['http://UPSTREAM/x', '/api/x', { prefix: '' }],
        ['http://UPSTREAM/v1/x', '/x', { mount: '/' }],
        ['/x', '/x', { mount: '/', prefix: '' }],
        // Another host for a browser, if nothing were done.
        ['http://UPSTREAM//evil.example/', '/.//evil.example/', { mount: '/', prefix: '' }],
        ['/v1//evil.example/', '/.//evil.example/', { mount: '/' }],
        ['/v1/\\evil.example/', '/./\\evil.example/', { mount: '/' }],
        ['/v1/\t/evil.example/', '/./\t/evil.example/', { mount: '/' }],
        ['http://localhost:80/v1/x', 'http://localhost:80/v1/x', { hostname: 'localhost' }],
        ['http://CAPITALS/v1/x', '/api/x', { hostname: 'localhost' }],
      ] as [string, string, Place?][]) {
        it(`turns ${JSON.stringify(sent)} into ${JSON.stringify(received)} at ${JSON.stringify(place ?? {})}`, async () => {
          expect(await rewriting.line(`Location: ${sent}`, { rewriteLocation: true }, place)).to.equal(
            `Location: ${received}`,
          )
        })
      }

      for (const sent of [
        'https://UPSTREAM/v1/x',
        'http://other.example/v1/x',
        'http://user@UPSTREAM/v1/x',
        'http://UPSTREAM.evil.example/v1/x',
        'http://UPSTREAM/v10/x',
        'http://UPSTREAM/other',
        '/other',
        '/v10',
        'x',
        '../x',
        '?x',
        '#x',
        '',
        '//other.example/v1/x',
        '/\\UPSTREAM/v1',
        'mailto:a@b.example',
        'http://[bad/v1/x',
        'https:/v1/x',
      ]) {
        it(`does not change ${JSON.stringify(sent)}`, async () => {
          expect(await rewriting.line(`Location: ${sent}`, { rewriteLocation: true })).to.equal(
            `Location: ${sent}`,
          )
        })
      }

      it('recognises the Host of the client as the upstream\u2019s own with preserveHost', async () => {
        const options = { rewriteLocation: true, preserveHost: true }
        expect(await rewriting.line('Location: https://TEST/v1/x', options)).to.equal('Location: /api/x')
        expect(await rewriting.line('Location: http://test/v1/x', { rewriteLocation: true })).to.equal(
          'Location: http://test/v1/x',
        )
        expect(await rewriting.line('Location: http://other/v1/x', options)).to.equal(
          'Location: http://other/v1/x',
        )
      })

      it('also rewrites a 201, Content-Location and Refresh, and every line of them', async () => {
        const options = { rewriteLocation: true }
        expect(await rewriting.line('lOCATION: http://UPSTREAM/v1/x/7', options, {}, '201 Created')).to.equal(
          'lOCATION: /api/x/7',
        )
        expect(await rewriting.line('Content-Location: http://UPSTREAM/v1/x/7', options)).to.equal(
          'Content-Location: /api/x/7',
        )
        for (const [sent, received] of [
          ['5; url=http://UPSTREAM/v1/x?a=b', '5; url=/api/x?a=b'],
          ["0;URL='http://UPSTREAM/v1/x'", "0;URL='/api/x'"],
          ['5', '5'],
          ['5; url=?next=/a', '5; url=?next=/a'],
          ['5; url=http://other.example/', '5; url=http://other.example/'],
          ['5; url="http://UPSTREAM/v1/x"', '5; url="/api/x"'],
          ['5; url="http://UPSTREAM/v1/x" more', '5; url="http://UPSTREAM/v1/x" more'],
          ['5=5; url=http://UPSTREAM/v1/x', '5=5; url=http://UPSTREAM/v1/x'],
        ]) {
          expect(await rewriting.line(`Refresh: ${sent}`, options)).to.equal(`Refresh: ${received}`)
          expect(await rewriting.line(`Refresh: ${sent}`, { cookieDomain: true })).to.equal(
            `Refresh: ${sent}`,
          )
        }
      })
    })

    it('takes no time for a host that no server has, and that Node would read for long', async () => {
      // Node's time grows with the square of the number of different characters.
      const han = Array.from({ length: 20_900 }, (_, at) =>
        encodeURIComponent(String.fromCharCode(0x4e00 + at)),
      ).join('')
      const [harmless, hostile] = ['a'.repeat(han.length), han].map((host) => {
        const sent = [`Location: http://${host}/`]
        return async () => {
          const { head } = await rewriting.answered(sent, {
            rewriteLocation: true,
            maxResponseHeadBytes: '1mb',
          })
          expect(head).to.include(sent[0])
        }
      }) as [() => Promise<void>, () => Promise<void>]
      expect(await cpuOf(hostile)).to.be.below((await cpuOf(harmless)) + 300)
    })

    describe('rewriteLocation', () => {
      for (const [rule, sent, received] of [
        ['https://www.example.org', 'http://UPSTREAM/v1/x', 'https://www.example.org/x'],
        ['http://www.example.org', 'http://UPSTREAM/v1/x', 'http://www.example.org/x'],
        ['https://www.example.org/app/', 'http://UPSTREAM/v1/x', 'https://www.example.org/app/x'],
        ['https://www.example.org/app', '/v1/x', 'https://www.example.org/app/x'],
        ['https://www.example.org/app/', 'http://UPSTREAM/v1?a', 'https://www.example.org/app/?a'],
        [{ '/a': '/1', '/b': '/2' }, '/b/x', '/2/x'],
        ['https://www.example.org', 'http://UPSTREAM/v1', 'https://www.example.org'],
        ['/app', 'http://UPSTREAM/v1/x', '/app/x'],
        ['/', 'http://UPSTREAM/v1/x', '/x'],
        ['/app', 'http://other.example/v1/x', 'http://other.example/v1/x'],
        [{ 'http://old.example/two/': '/one/' }, 'http://old.example/two/x', '/one/x'],
        [{ 'http://old.example': 'https://new.example' }, 'http://old.example/x', 'https://new.example/x'],
        [
          { 'http://old.example': 'https://new.example' },
          'http://old.example.evil/x',
          'http://old.example.evil/x',
        ],
        [{ '/a': '/first', '/a/b': '/second' }, '/a/b', '/first/b'],
        [{ '/a': '/' }, '/a//evil.example', '/.//evil.example'],
        [{ '/a': '/first' }, 'http://UPSTREAM/v1/x', 'http://UPSTREAM/v1/x'],
        [(url: string) => url.toUpperCase(), '/v1/x', '/V1/X'],
        [() => undefined, '/v1/x', '/v1/x'],
      ] as [NonNullable<PassthroughProxyOptions['rewriteLocation']>, string, string][]) {
        it(`${typeof rule === 'function' ? String(rule) : JSON.stringify(rule)} turns ${sent} into ${received}`, async () => {
          expect(await rewriting.line(`Location: ${sent}`, { rewriteLocation: rule })).to.equal(
            `Location: ${received}`,
          )
        })
      }

      it('gives a function the request', async () => {
        const seen: string[] = []
        const rewriteLocation = (url: string, { headers }: IncomingMessage): string => {
          seen.push(url, headers.host ?? '')
          return `https://${headers.host}/`
        }
        expect(await rewriting.line('Location: /x', { rewriteLocation })).to.equal('Location: https://test/')
        expect(seen).to.deep.equal(['/x', 'test'])
      })

      for (const [what, rewriteLocation] of [
        [
          'throws',
          () => {
            throw new Error('secret')
          },
        ],
        ['returns CR LF', () => '/x\r\nSet-Cookie: evil=1'],
        ['returns a character beyond latin1', () => '/日本'],
        ['returns a control character', () => '/x\x01'],
        ['does not return a string', (async () => '/x') as never],
      ] as [string, () => string][]) {
        it(`is an error of the hook if its function ${what}`, async () => {
          const { head, body } = await rewriting.answered(['Location: /x'], { rewriteLocation })
          expect(head).not.to.match(/evil/)
          expect(body.toString()).to.equal(
            withEntry(
              'ERR_SLUICEWAY_PROXY_HOOK: passthroughProxy: rewriteLocation failed',
              'ERR_SLUICEWAY_PROXY_HOOK',
            ),
          )
        })
      }

      it('comes before onResponse, which has the last word', async () => {
        const options: PassthroughProxyOptions = {
          rewriteLocation: true,
          onResponse({ headers }) {
            headers.set('Location', `${headers.get('location')}?hooked`)
          },
        }
        const { headers } = await rewriting.answered(['Location: /v1/x'], options)
        expect(headers['location']).to.deep.equal(['/api/x?hooked'])
      })
    })

    it('never leads to another host through a mount parameter', async () => {
      const { exchange } = await proxied({ express, mount: '/:tenant', rewriteLocation: true })
      const { response } = await exchange(request('GET', '/\\evil.example/x'), answer('', 'Location: /y\r\n'))
      expect(response.headers['location']).to.deep.equal(['/./\\evil.example/y'])
    })
  })
}
