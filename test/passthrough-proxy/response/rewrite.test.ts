import type { IncomingMessage, RequestListener } from 'node:http'
import { expect } from 'chai'
import { passthroughProxy, type PassthroughProxyOptions, type SluicewayError } from 'sluiceway'
import { RawClient, type RawResponse } from '../../support/clients/raw-client.js'
import { withEntry } from '../../support/error-entry.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { cpuOf } from '../../support/process/cpu.js'
import { attached } from '../../support/servers/attached.js'
import { proxied, request } from '../../support/servers/proxied.js'
import { answer, scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../../support/servers/servers.js'

interface Place {
  readonly mount?: string
  readonly prefix?: string
  /** A name for the upstream, where it is to be another than 127.0.0.1. */
  readonly hostname?: string
}

for (const { name, express } of expressVersions) {
  /** What an upstream at `prefix` answers in `lines`, as the client of a proxy at `mount` gets it. */
  async function answered(
    lines: readonly string[],
    options: PassthroughProxyOptions,
    { mount = '/api', prefix = '/v1', hostname = '127.0.0.1' }: Place = {},
    status = '302 Found',
  ): Promise<RawResponse> {
    const upstream = await scriptedUpstream()
    const app = express().disable('x-powered-by')
    const authority = `${hostname}:${upstream.port}`
    app.use(mount, express.Router().use('/', passthroughProxy(`http://${authority}${prefix}`, options)))
    app.use((error: SluicewayError, _req: unknown, res: { end(text: string): void }, _next: unknown) =>
      res.end(`${error.code}: ${error.message}`),
    )
    const client = await RawClient.connect((await serve(app)).port)
    client.request('GET', `${mount === '/' ? '' : mount}/asked`)
    const connection = await upstream.connection()
    await connection.untilText('\r\n\r\n')
    const filled = lines.map((text) =>
      text.replaceAll('UPSTREAM', authority).replaceAll('CAPITALS', authority.toUpperCase()),
    )
    connection.write(`HTTP/1.1 ${status}\r\n${filled.join('\r\n')}\r\nContent-Length: 0\r\n\r\n`)
    const response = await client.response()
    client.destroy()
    return { ...response, head: response.head.replaceAll(authority, 'UPSTREAM') }
  }

  /** The one line that is no framing. */
  async function line(
    sent: string,
    options: PassthroughProxyOptions,
    place?: Place,
    status?: string,
  ): Promise<string | undefined> {
    const { head } = await answered([sent], options, place, status)
    return head.split('\r\n')[1]
  }

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
      const { head } = await answered(lines, { cookieDomain: false })
      expect(head.split('\r\n').slice(1, 3)).to.deep.equal(lines)
    })

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
          expect(await line(`Location: ${sent}`, { rewriteLocation: true }, place)).to.equal(
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
          expect(await line(`Location: ${sent}`, { rewriteLocation: true })).to.equal(`Location: ${sent}`)
        })
      }

      it('recognises the Host of the client as the upstream\u2019s own with preserveHost', async () => {
        const options = { rewriteLocation: true, preserveHost: true }
        expect(await line('Location: https://TEST/v1/x', options)).to.equal('Location: /api/x')
        expect(await line('Location: http://test/v1/x', { rewriteLocation: true })).to.equal(
          'Location: http://test/v1/x',
        )
        expect(await line('Location: http://other/v1/x', options)).to.equal('Location: http://other/v1/x')
      })

      it('also rewrites a 201, Content-Location and Refresh, and every line of them', async () => {
        const options = { rewriteLocation: true }
        expect(await line('lOCATION: http://UPSTREAM/v1/x/7', options, {}, '201 Created')).to.equal(
          'lOCATION: /api/x/7',
        )
        expect(await line('Content-Location: http://UPSTREAM/v1/x/7', options)).to.equal(
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
          expect(await line(`Refresh: ${sent}`, options)).to.equal(`Refresh: ${received}`)
          expect(await line(`Refresh: ${sent}`, { cookieDomain: true })).to.equal(`Refresh: ${sent}`)
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
          const { head } = await answered(sent, { rewriteLocation: true, maxResponseHeadBytes: '1mb' })
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
          expect(await line(`Location: ${sent}`, { rewriteLocation: rule })).to.equal(`Location: ${received}`)
        })
      }

      it('gives a function the request', async () => {
        const seen: string[] = []
        const rewriteLocation = (url: string, { headers }: IncomingMessage): string => {
          seen.push(url, headers.host ?? '')
          return `https://${headers.host}/`
        }
        expect(await line('Location: /x', { rewriteLocation })).to.equal('Location: https://test/')
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
          const { head, body } = await answered(['Location: /x'], { rewriteLocation })
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
        const { headers } = await answered(['Location: /v1/x'], options)
        expect(headers['location']).to.deep.equal(['/api/x?hooked'])
      })
    })

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
          expect(await line(`Set-Cookie: ${sent}`, options, place)).to.equal(`Set-Cookie: ${received}`)
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

      it('never lead to another host through a mount parameter', async () => {
        const { exchange } = await proxied({ express, mount: '/:tenant', rewriteLocation: true })
        const { response } = await exchange(
          request('GET', '/\\evil.example/x'),
          answer('', 'Location: /y\r\n'),
        )
        expect(response.headers['location']).to.deep.equal(['/./\\evil.example/y'])
      })

      it('rewrite each of several cookies, and keep their lines separate', async () => {
        const cookies = ['a=1; Path=/v1', 'b=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Path=/v1/b', 'c=3']
        const { headers } = await answered(
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
