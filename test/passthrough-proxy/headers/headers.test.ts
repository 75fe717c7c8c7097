import { expect } from 'chai'
import type { Express } from 'express'
import { passthroughProxy, type PassthroughProxyOptions } from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { unmarked } from '../../support/servers/proxied.js'
import { answer, scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../../support/servers/servers.js'

function setOwnHeaders(app: Express): void {
  app.use((_req, res, next) => {
    res.setHeader('Cache-Control', 'no-store')
    res.setHeader('Set-Cookie', 'session=1')
    res.setHeader('Vary', 'Origin')
    next()
  })
}

/** Lines of a head, without the request or status line. */
function linesOf(head: string): string[] {
  return head.trimEnd().split('\r\n').slice(1)
}

for (const { name, express } of expressVersions) {
  /** Sends raw header lines through the proxy; gives what the upstream saw and what the client got. */
  async function exchange(
    requestLines: readonly string[],
    responseHead = 'Content-Length: 0\r\n',
    {
      options,
      prepare,
    }: { options?: PassthroughProxyOptions; prepare?: (app: ReturnType<typeof express>) => void } = {},
  ): Promise<{ upstream: string[]; client: string[]; statusLine: string }> {
    const upstream = await scriptedUpstream()
    const app = express()
    prepare?.(app)
    app.use(passthroughProxy(upstream.url, { forwarded: false, ...options }))
    const { port } = await serve(app)
    const client = await RawClient.connect(port)
    client.write(`GET / HTTP/1.1\r\n${['Host: test', ...requestLines].join('\r\n')}\r\n\r\n`)
    const connection = await upstream.connection()
    const seen = await connection.untilText('\r\n\r\n')
    connection.write(`HTTP/1.1 200 OK\r\n${responseHead}\r\n`)
    const { head } = await client.response()
    return {
      upstream: unmarked(linesOf(seen)),
      client: linesOf(head),
      statusLine: head.slice(0, head.indexOf('\r\n')),
    }
  }

  describe(`passthroughProxy and the headers (${name})`, () => {
    afterEach(closeServers)

    describe('of the request', () => {
      it('keep case, order and repeated lines, and gain none but Host and Connection', async () => {
        const lines = [
          'X-Zeta: 1',
          'aCCept: text/*',
          'X-Twice: a',
          'Cookie: one=1',
          'X-Twice: b, c',
          'Cookie: two=2',
        ]
        const { upstream } = await exchange(lines)
        expect(upstream[0]).to.match(/^host: 127\.0\.0\.1:\d+$/)
        expect(upstream[1]).to.equal('connection: keep-alive')
        expect(upstream.slice(2)).to.deep.equal(lines)
      })

      it('keep case, order and repetitions beside headers that are set, and getHeader finds them', async () => {
        const seen: unknown[] = []
        const { client } = await exchange([], 'X-A: 1\r\nX-B: 2\r\nx-a: 3\r\nContent-Length: 0\r\n', {
          prepare: (app) =>
            app.use((_req, res, next) => {
              res.setHeader('X-Own', ['4', '5']).on('finish', () => {
                seen.push(...['x-a', 'X-B', 'content-length', 'x-own'].map((field) => res.getHeader(field)))
              })
              next()
            }),
        })
        expect(client.filter((line) => /^x-[abo]/i.test(line))).to.deep.equal([
          'X-Own: 4',
          'X-Own: 5',
          'X-A: 1',
          'X-B: 2',
          'x-a: 3',
        ])
        expect(seen).to.deep.equal([['1', '3'], '2', '0', ['4', '5']])
      })

      it('keep bytes beyond ASCII', async () => {
        const { upstream } = await exchange(['X-Name: J\u00fcrgen'])
        // Written as UTF-8 by this test's client; the same bytes arrive, read as latin1.
        expect(upstream).to.include(`X-Name: ${Buffer.from('J\u00fcrgen').toString('latin1')}`)
      })

      for (const [what, lines] of [
        ['Keep-Alive', ['Keep-Alive: timeout=5']],
        ['Proxy-Connection', ['Proxy-Connection: keep-alive']],
        ['Proxy-Authorization', ['Proxy-Authorization: Basic eDp5']],
        ['Proxy-Authenticate', ['Proxy-Authenticate: Basic']],
        ['TE other than trailers', ['TE: gzip;q=0.5']],
        ['Trailer', ['Trailer: X-Sum']],
        [
          'Upgrade, HTTP2-Settings',
          ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAA'],
        ],
        ['the lines that Connection names', ['Connection: close, X-Foo', 'X-Foo: 1']],
        [
          'the lines that a second Connection line names',
          ['Connection: X-Foo', 'Connection: X-Bar', 'X-Foo: 1', 'x-bar: 2'],
        ],
        // CVE-2021-33197 (golang/go#46313)
        [
          'the lines that Connection names after an empty line',
          ['Connection: ', 'Connection: X-Foo', 'X-Foo: 1'],
        ],
        [
          'Cookie and Authorization if Connection names them',
          ['Connection: cookie, Authorization', 'Cookie: a=1', 'Authorization: x'],
        ],
      ] as const) {
        it(`lose ${what}`, async () => {
          const { upstream } = await exchange([...lines, 'X-Kept: yes'])
          expect(upstream.slice(2)).to.deep.equal(['X-Kept: yes'])
        })
      }

      it('keep only TE: trailers', async () => {
        const { upstream } = await exchange(['TE: gzip, trailers;q=0.5'])
        expect(upstream.slice(2)).to.deep.equal(['TE: trailers'])
      })

      it('keep Host and framing even if Connection names them', async () => {
        const { upstream } = await exchange(['Connection: Host, Content-Length', 'Content-Length: 0'])
        expect(upstream[0]).to.match(/^host: 127\.0\.0\.1:\d+$/)
      })

      it('keep TE if Connection names it, as RFC 9110 section 10.1.4 requires of clients', async () => {
        const { upstream } = await exchange(['Connection: TE, close', 'TE: trailers'])
        expect(upstream.slice(2)).to.deep.equal(['TE: trailers'])
      })

      it('lose a TE value that only begins with trailers', async () => {
        const { upstream } = await exchange(['TE: trailersx'])
        expect(upstream.slice(2)).to.deep.equal([])
      })

      it("carry the client's Host with preserveHost", async () => {
        const { upstream } = await exchange([], undefined, { options: { preserveHost: true } })
        expect(upstream[0]).to.equal('host: test')
      })

      it('name the upstream as Host with preserveHost if the client has sent none', async () => {
        const upstream = await scriptedUpstream()
        const { port } = await serve(express().use(passthroughProxy(upstream.url, { preserveHost: true })))
        const client = await RawClient.connect(port)
        client.write('GET / HTTP/1.0\r\n\r\n')
        const head = await (await upstream.connection()).untilText('\r\n\r\n')
        expect(head.match(/^host: .*$/gim)).to.deep.equal([`host: ${upstream.url.slice('http://'.length)}`])
        client.destroy()
      })

      it('refuse a second Host line', async () => {
        const upstream = await scriptedUpstream()
        const { port } = await serve(express().use(passthroughProxy(upstream.url)))
        const client = await RawClient.connect(port)
        client.write('GET / HTTP/1.1\r\nHost: test\r\nHost: evil\r\n\r\n')
        expect((await client.response()).status).to.equal(400)
        expect(upstream.accepted).to.equal(0)
      })
    })

    describe('of the response', () => {
      for (const [how, prepare] of [
        ['set by Express', () => {}],
        ['not set before', (app: ReturnType<typeof express>) => app.disable('x-powered-by')],
      ] as const) {
        it(`keep case, order and repeated lines, when headers are ${how}`, async () => {
          const lines = [
            'X-Zeta: 1',
            'Set-Cookie: a=1',
            'Set-Cookie: b=2; Secure',
            'aGE: 5',
            'Link: </a>',
            'Link: </b>',
          ]
          const { client } = await exchange([], `${lines.join('\r\n')}\r\nContent-Length: 0\r\n`, { prepare })
          expect(client.filter((line) => lines.includes(line))).to.deep.equal(lines)
          expect(client.filter((line) => line.startsWith('Set-Cookie'))).to.have.length(2)
        })
      }

      it('lose the hop-by-hop lines and those that Connection names, and the client keeps its connection', async () => {
        const { client } = await exchange(
          [],
          [
            'Connection: close, X-Internal',
            'X-Internal: 1',
            'Keep-Alive: timeout=1',
            'Proxy-Connection: close',
            'Proxy-Authenticate: Basic',
            'Upgrade: h2c',
            'X-Kept: yes',
            'Content-Length: 0',
            '',
          ].join('\r\n'),
        )
        expect(client).to.include('X-Kept: yes').and.include('Connection: keep-alive')
        for (const lost of [/^X-Internal/, /timeout=1$/, /^Proxy-/, /^Upgrade/, /close/]) {
          expect(
            client.filter((line) => lost.test(line)),
            String(lost),
          ).to.deep.equal([])
        }
      })

      it('replace headers that a middleware has set, except Set-Cookie and Vary', async () => {
        const { client } = await exchange(
          [],
          'cache-control: max-age=5\r\nSet-Cookie: own=2\r\nVary: Accept\r\nX-Powered-By: upstream\r\nContent-Length: 0\r\n',
          { prepare: setOwnHeaders },
        )
        expect(client.filter((line) => /^cache-control/i.test(line))).to.deep.equal([
          'cache-control: max-age=5',
        ])
        expect(client.filter((line) => /^x-powered-by/i.test(line))).to.deep.equal(['X-Powered-By: upstream'])
        expect(client).to.include.members([
          'Set-Cookie: session=1',
          'Set-Cookie: own=2',
          'Vary: Origin',
          'Vary: Accept',
        ])
      })

      it('keep bytes beyond ASCII', async () => {
        const { client } = await exchange([], 'X-Name: J\u00fcrgen\r\nContent-Length: 0\r\n')
        // Written as UTF-8 by this test's upstream; the same bytes arrive, read as latin1.
        expect(client).to.include(`X-Name: ${Buffer.from('J\u00fcrgen').toString('latin1')}`)
      })
    })

    for (const [sent, received] of [
      ['HTTP/1.1 200 Fine By Me', 'HTTP/1.1 200 Fine By Me'],
      ['HTTP/1.1 299 ', 'HTTP/1.1 299 '],
      ['HTTP/1.1 418 I am a teapot', 'HTTP/1.1 418 I am a teapot'],
      // Bytes beyond ASCII are the same ones, here read as latin1.
      ['HTTP/1.1 200 \u2603', 'HTTP/1.1 200 \u00e2\u0098\u0083'],
    ] as const) {
      it(`answer ${JSON.stringify(sent)} with ${JSON.stringify(received)}`, async () => {
        const upstream = await scriptedUpstream()
        const { port } = await serve(express().disable('x-powered-by').use(passthroughProxy(upstream.url)))
        const client = await RawClient.connect(port)
        client.request('GET', '/')
        const connection = await upstream.connection()
        connection.write(`${sent}\r\nContent-Length: 0\r\n\r\n`)
        const { head } = await client.response()
        expect(head.slice(0, head.indexOf('\r\n'))).to.equal(received)
      })
    }

    it('work when one connection serves many requests', async () => {
      const upstream = await scriptedUpstream()
      const { port } = await serve(express().use(passthroughProxy(upstream.url)))
      const client = await RawClient.connect(port)
      client.request('GET', '/', { 'X-First': '1' })
      const connection = await upstream.connection()
      expect(await connection.untilText('\r\n\r\n')).to.contain('X-First: 1')
      connection.write(answer())
      await client.response()
      client.request('GET', '/', { 'X-Second': '2' })
      expect(await connection.untilText('\r\n\r\n')).not.to.contain('X-First')
      connection.write(answer())
      await client.response()
      expect(upstream.accepted).to.equal(1)
    })
  })
}
