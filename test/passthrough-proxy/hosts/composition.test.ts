import { ServerResponse } from 'node:http'
import { expect } from 'chai'
import { passthroughProxy } from 'sluiceway'
import { asChunk, lastChunk, RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { request } from '../../support/servers/proxied.js'
import { answer, scriptedUpstream, type ScriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../../support/servers/servers.js'

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy with other middlewares and proxies (${name})`, () => {
    let upstream: ScriptedUpstream

    beforeEach(async () => {
      upstream = await scriptedUpstream()
    })
    afterEach(closeServers)

    /** What the upstream was asked for by one request of a fresh client. */
    async function askedFor(app: Parameters<typeof serve>[0], sent: string): Promise<string> {
      const client = await RawClient.connect((await serve(app)).port)
      client.write(sent)
      const connection = await upstream.connection()
      const seen = await connection.untilText('\r\n\r\n')
      connection.write(answer())
      expect((await client.response()).status).to.equal(200)
      client.destroy()
      return seen
    }

    for (const [where, build, path, expected] of [
      [
        'in a sub-router',
        (proxy) => express().use('/a', express.Router().use('/b', proxy)),
        '/a/b/c%2Fd?e',
        '/v1/c%2Fd?e',
      ],
      [
        'in a sub-application',
        (proxy) => express().use('/a', express().use('/b', proxy)),
        '/a/b/c//d/../e',
        '/v1/c//d/../e',
      ],
      [
        'after a parameter',
        (proxy) => express().use('/:tenant/api', express.Router({ mergeParams: true }).use(proxy)),
        '/acme/api/x',
        '/v1/x',
      ],
      ['on a route', (proxy) => express().get('/a/b', proxy), '/a/b?c', '/v1/a/b?c'],
      [
        'after a middleware that rewrites req.url',
        (proxy) =>
          express().use((req, _res, next) => {
            req.url = req.url.replace('/old', '/new')
            next()
          }, proxy),
        '/old/x',
        '/v1/new/x',
      ],
      ['in bare http', (proxy) => (req, res) => proxy(req, res, () => {}), '/a?b', '/v1/a?b'],
    ] as [
      string,
      (proxy: ReturnType<typeof passthroughProxy>) => Parameters<typeof serve>[0],
      string,
      string,
    ][]) {
      it(`sends ${path} on as ${expected}, mounted ${where}`, async () => {
        const seen = await askedFor(build(passthroughProxy(`${upstream.url}/v1`)), request('GET', path))
        expect(seen.split(' ')[1]).to.equal(expected)
      })
    }

    it('passes on a request that the first of two proxies leaves to the second', async () => {
      const first = passthroughProxy('http://nowhere.invalid')
      const app = express().use((req, res, next) => {
        if (req.url.startsWith('/first')) first(req, res, next)
        else next()
      }, passthroughProxy(upstream.url))
      expect(await askedFor(app, request('GET', '/second'))).to.match(/^GET \/second /)
    })

    it('shows a tracer in front of every head the headers that a middleware has set', async () => {
      const { prototype } = ServerResponse
      // oxlint-disable-next-line typescript/unbound-method
      const { writeHead } = prototype
      prototype.writeHead = function (this: ServerResponse, ...args: unknown[]) {
        if (this.hasHeader('x-own')) this.setHeader('x-seen', String(this.getHeader('x-own')))
        return Reflect.apply(writeHead, this, args) as ServerResponse
      } as typeof writeHead
      try {
        const { url } = await serve(
          express().use((_req, res, next) => {
            res.setHeader('x-own', '1')
            next()
          }, passthroughProxy(upstream.url)),
        )
        const asked = fetch(url)
        const connection = await upstream.connection()
        await connection.untilText('\r\n\r\n')
        connection.write(answer())
        expect((await asked).headers.get('x-seen')).to.equal('1')
      } finally {
        prototype.writeHead = writeHead
      }
    })

    describe('in a chain', () => {
      async function chained(): Promise<RawClient> {
        const inner = await serve(
          express()
            .disable('x-powered-by')
            .set('trust proxy', 'loopback')
            .use(passthroughProxy(upstream.url)),
        )
        const outer = await serve(express().disable('x-powered-by').use(passthroughProxy(inner.url)))
        return RawClient.connect(outer.port)
      }

      /** Both ends of a request whose answer has begun. */
      async function halfAnswered(): Promise<[RawClient, RawClient]> {
        const client = await chained()
        client.write(request('GET', '/'))
        const connection = await upstream.connection()
        await connection.untilText('\r\n\r\n')
        connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n')
        await client.untilText('half')
        return [client, connection]
      }

      it('passes on heads, chunks and trailers as one proxy would, and names both clients', async () => {
        const client = await chained()
        client.write(
          request(
            'POST',
            '/a%2Fb',
            'X-Twice: 1',
            'X-Twice: 2',
            'TE: trailers',
            'Transfer-Encoding: chunked',
          ) + '5\r\nhello\r\n',
        )
        const connection = await upstream.connection()
        const seen = await connection.untilText('5\r\nhello')
        expect(seen).to.match(/^POST \/a%2Fb HTTP\/1\.1\r\n/)
        expect(seen).to.contain('X-Twice: 1\r\nX-Twice: 2\r\nTE: trailers\r\n')
        expect(seen)
          .to.contain('X-Forwarded-For: 127.0.0.1, 127.0.0.1\r\n')
          .and.contain('X-Forwarded-Host: test\r\n')
        client.write(asChunk('more'), lastChunk)
        await connection.untilText('4\r\nmore\r\n0\r\n\r\n')
        connection.write(
          'HTTP/1.1 200 Fine\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n',
        )
        const head = await client.untilText('\r\n\r\n')
        expect(head)
          .to.match(/^HTTP\/1\.1 200 Fine\r\n/)
          .and.contain('Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n')
        await client.untilText('2\r\nok\r\n')
        connection.write('0\r\nX-Sum: 9\r\n\r\n')
        await client.untilText('0\r\nX-Sum: 9\r\n\r\n')
      })

      it('passes on 103, and keeps the connections for the next request', async () => {
        const client = await chained()
        client.write(request('GET', '/'))
        const connection = await upstream.connection()
        await connection.untilText('\r\n\r\n')
        connection.write('HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n')
        expect(await client.untilText('\r\n\r\n')).to.match(/^HTTP\/1\.1 103 /)
        connection.write(answer())
        await client.response()
        client.write(request('GET', '/next'))
        await connection.untilText('GET /next ')
        connection.write(answer())
        expect((await client.response()).status).to.equal(200)
        expect(upstream.accepted).to.equal(1)
      })

      it('passes on an abort of the client', async () => {
        const [client, connection] = await halfAnswered()
        client.destroy()
        await connection.closed()
      })

      it('passes on the end of an upstream, never as a clean end', async () => {
        const [client, connection] = await halfAnswered()
        connection.destroy()
        await client.closed()
        expect(client.pending.toString()).not.to.contain('0\r\n\r\n')
      })
    })

    describe('with trust proxy', () => {
      const own = 'X-Forwarded-For: 127.0.0.1\r\n'
      const joined = 'X-Forwarded-For: 6.6.6.6, 127.0.0.1\r\n'
      for (const [what, trust, expected] of [
        ['false', false, own],
        ['true', true, joined],
        ['one hop', 1, joined],
        ['no hop', 0, own],
        ['a list with the peer', '10.0.0.1, 127.0.0.1', joined],
        ['a list without the peer', ['10.0.0.1', 'uniquelocal'], own],
        ['a function that returns true', (address: string) => address === '127.0.0.1', joined],
        ['a function that returns false', () => false, own],
      ] as const) {
        it(`${what}: the upstream sees ${expected.trimEnd()}`, async () => {
          const app = express().set('trust proxy', trust).use(passthroughProxy(upstream.url))
          const seen = await askedFor(
            app,
            request('GET', '/', 'X-Forwarded-For: 6.6.6.6', 'X-Forwarded-Proto: https'),
          )
          expect(seen).to.contain(expected)
          expect(seen).to.contain(`X-Forwarded-Proto: ${expected === own ? 'http' : 'https'}\r\n`)
        })
      }

      it('of the outer application counts in a sub-application', async () => {
        const app = express()
          .set('trust proxy', true)
          .use('/a', express().use(passthroughProxy(upstream.url)))
        expect(await askedFor(app, request('GET', '/a/', 'X-Forwarded-For: 6.6.6.6'))).to.contain(joined)
      })
    })
  })
}
