import { expect } from 'chai'
import { bodyCache, type PassthroughProxyOptions, type SluicewayError } from 'sluiceway'
import type { RawClient } from '../../support/clients/raw-client.js'
import { withEntry } from '../../support/error-entry.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { proxied } from '../../support/servers/proxied.js'
import { answer, type ScriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { type Given, giveEach } from '../watched.js'

function fails(): never {
  throw new Error('the cause')
}

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy hooks (${name})`, () => {
    let upstream: ScriptedUpstream
    let errors: Given['errors']
    let client: Given['client']

    giveEach(express, (given) => ({ upstream, errors, client } = given))

    it('onRequest turns a POST here into a GET there, and the connection lives on', async () => {
      const sender = await client({
        onRequest: async (outgoing) => {
          await Promise.resolve()
          outgoing.method = 'GET'
          outgoing.path = '/there?x=1'
          outgoing.body = null
          outgoing.headers.delete('content-type')
          outgoing.headers.set('X-Added', 'yes')
        },
      })
      let connection: RawClient | undefined
      for (let n = 0; n < 2; n++) {
        sender.request('POST', '/here', { 'Content-Type': 'text/plain' }, 'thrown away')
        connection ??= await upstream.connection()
        const seen = await connection.untilText('\r\n\r\n')
        expect(seen).to.match(/^GET \/there\?x=1 HTTP\/1\.1\r\n/)
        expect(seen)
          .to.contain('X-Added: yes')
          .and.not.match(/content-|transfer-/i)
        connection.write(answer())
        expect((await sender.response()).status).to.equal(200)
      }
    })

    for (const [what, value, text] of [
      ['a number', 5, '5'],
      ['a bigint', 5n, '5'],
      ['true', true, 'true'],
    ] as const) {
      it(`onRequest may give a header ${what}`, async () => {
        const sender = await client({ onRequest: ({ headers }) => headers.set('X-Added', value as never) })
        sender.request('GET', '/')
        const connection = await upstream.connection()
        expect(await connection.untilText('\r\n\r\n')).to.contain(`X-Added: ${text}\r\n`)
      })
    }

    for (const [what, value] of [
      ['undefined', undefined],
      ['null', null],
      ['an object', {}],
      ['an array; append() adds a line for each value', ['a', 'b']],
      ['a symbol', Symbol('x')],
    ] as const) {
      for (const method of ['set', 'append'] as const) {
        it(`onRequest fails if headers.${method} gets ${what}: no word for it reaches the upstream`, async () => {
          const sender = await client({
            onRequest: ({ headers }) => headers[method]('X-Added', value as never),
          })
          sender.request('GET', '/')
          expect((await sender.response()).status).to.equal(500)
          expect(errors[0]?.code).to.equal('ERR_SLUICEWAY_PROXY_HOOK')
          expect((errors[0] as SluicewayError).cause).to.have.property(
            'message',
            withEntry(`headers: the value of "X-Added" must be a string, got ${what}`, 'a-wrong-option'),
          )
        })
      }
    }

    it('onRequest runs after stripping: a header that Connection names can be set again', async () => {
      // golang/go#50580, CVE-2026-33805: a client took away what the proxy had added.
      const sender = await client({
        onRequest(outgoing) {
          expect(outgoing.headers.has('x-user')).to.equal(false)
          outgoing.headers.set('X-User', 'alice')
        },
      })
      sender.request('GET', '/', { Connection: 'X-User, X-Forwarded-For', 'X-User': 'root' })
      const connection = await upstream.connection()
      const seen = await connection.untilText('\r\n\r\n')
      expect(seen).to.contain('X-User: alice\r\n').and.contain('X-Forwarded-For: 127.0.0.1\r\n')
      expect(seen).not.to.contain('root')
    })

    for (const [what, onRequest] of [
      [
        'throws',
        () => {
          throw new Error('secret')
        },
      ],
      [
        'rejects',
        async () => {
          throw new Error('secret')
        },
      ],
      ['sets CR LF in a value', (o) => o.headers.set('X', 'a\r\nX-Smuggled: 1')],
      ['sets NUL in a value', (o) => o.headers.set('X', 'a\0')],
      ['sets CR LF in a name', (o) => o.headers.set('X: 1\r\nY', 'a')],
      [
        'sets CR LF in the path',
        (o) => {
          o.path = '/ HTTP/1.1\r\nX: 1\r\n\r\n'
        },
      ],
      [
        'sets a path with a space',
        (o) => {
          o.path = '/a b'
        },
      ],
      [
        'sets a URL for a path',
        (o) => {
          o.path = 'http://evil.example/'
        },
      ],
      [
        'sets CR LF in the method',
        (o) => {
          o.method = 'GET / HTTP/1.1\r\n\r\nGET'
        },
      ],
      ['sets Transfer-Encoding', (o) => o.headers.set('Transfer-Encoding', 'chunked')],
      ['sets a second Content-Length', (o) => o.headers.set('Content-Length', '1')],
      ['sets Expect', (o) => o.headers.set('Expect', '100-continue')],
      ['sets CR alone in a value', (o) => o.headers.set('X', 'a\rb')],
      ['sets LF alone in a value', (o) => o.headers.set('X', 'a\nX-Smuggled: 1')],
      ['sets NUL in a name', (o) => o.headers.set('X\0', 'a')],
      ['sets a colon in a name', (o) => o.headers.set('X: 1, Y', 'a')],
      ['sets no name', (o) => o.headers.set('', 'a')],
      ['sets Upgrade', (o) => o.headers.set('Upgrade', 'h2c')],
      ['sets Keep-Alive', (o) => o.headers.set('Keep-Alive', 'timeout=5')],
      ['sets CR LF in Connection', (o) => o.headers.set('Connection', 'close\r\nX-Smuggled: 1')],
      ['sets two Host lines', (o) => o.headers.lines.push('Host', 'a', 'host', 'b')],
      [
        'sets NUL in the path',
        (o) => {
          o.path = '/a\0b'
        },
      ],
      [
        'sets LF in the query',
        (o) => {
          o.path = '/a?b\nc'
        },
      ],
      [
        'sets an empty path',
        (o) => {
          o.path = ''
        },
      ],
      [
        'sets an empty method',
        (o) => {
          o.method = ''
        },
      ],
      [
        'sets a number for a body',
        (o) => {
          o.body = 7 as never
        },
      ],
    ] as [string, NonNullable<PassthroughProxyOptions['onRequest']>][]) {
      it(`answers 500 where onRequest ${what}, and asks the upstream nothing`, async () => {
        const sender = await client({ onRequest })
        sender.request('POST', '/', {}, 'body')
        const response = await sender.response()
        expect(response.status).to.equal(500)
        expect(response.body.toString()).not.to.contain('secret')
        expect(errors).to.have.length(1)
        expect(errors[0]).to.have.property('code', 'ERR_SLUICEWAY_PROXY_HOOK')
        expect(upstream.accepted).to.equal(0)
      })
    }

    it('onRequest names the Host, also with preserveHost', async () => {
      const sender = await client({
        preserveHost: true,
        onRequest: ({ headers }) => headers.set('Host', 'chosen.example'),
      })
      sender.request('GET', '/')
      const connection = await upstream.connection()
      expect((await connection.untilText('\r\n\r\n')).match(/^host: .*$/gim)).to.deep.equal([
        'host: chosen.example',
      ])
    })

    it('onRequest closes the upstream connection with Connection: close', async () => {
      const sender = await client({ onRequest: ({ headers }) => headers.set('Connection', 'close') })
      sender.request('GET', '/')
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      connection.write(answer())
      expect((await sender.response()).headers['connection']).to.deep.equal(['keep-alive'])
    })

    it('a POST is answered by a HEAD elsewhere, without a length that nothing follows', async () => {
      const sender = await client({
        onRequest(outgoing) {
          outgoing.method = 'HEAD'
          outgoing.body = null
        },
      })
      let connection: RawClient | undefined
      for (let n = 0; n < 2; n++) {
        sender.request('POST', '/', {}, 'body')
        connection ??= await upstream.connection()
        expect(await connection.untilText('\r\n\r\n')).to.match(/^HEAD /)
        connection.write('HTTP/1.1 200 OK\r\nContent-Length: 500\r\nX-Size: 500\r\n\r\n')
        const { headers, body } = await sender.response()
        expect(headers['x-size']).to.deep.equal(['500'])
        expect(body.length).to.equal(0)
      }
    })

    it('a HEAD is answered by a GET elsewhere, without its body', async () => {
      const sender = await client({
        onRequest(outgoing) {
          outgoing.method = 'GET'
        },
      })
      let connection: RawClient | undefined
      for (let n = 0; n < 2; n++) {
        sender.request('HEAD', '/')
        connection ??= await upstream.connection()
        expect(await connection.untilText('\r\n\r\n')).to.match(/^GET /)
        connection.write(answer('hello'))
        expect((await sender.response({ head: true })).headers['content-length']).to.deep.equal(['5'])
      }
      expect(sender.pending.length).to.equal(0)
    })

    it('an error of another middleware passes through onRequest unchanged', async () => {
      const proxy = await proxied({
        express,
        prepare: (app) => app.use(bodyCache()),
        onRequest: async (_outgoing, req) => void (await req.bodyCache.json()),
      })
      proxy.client.request('POST', '/', { 'Content-Type': 'application/json' }, '{')
      expect((await proxy.client.response()).status).to.equal(400)
      expect(proxy.errors[0]).to.have.property('code', 'ERR_SLUICEWAY_BODY_MALFORMED')
    })

    for (const [what, options, cause] of [
      ['throws', { onRequest: fails }, 'the cause'],
      [
        'gives a URL for a path',
        { onRequest: (o) => void (o.path = 'http://a/') },
        `outgoing.path must be a string that begins with '/', got "http://a/"`,
      ],
      [
        'gives a URL object for a path',
        { onRequest: (o) => void Object.assign(o, { path: new URL('http://a/') }) },
        "outgoing.path must be a string that begins with '/', got a value of class URL",
      ],
      [
        'gives no method',
        { onRequest: (o) => void Object.assign(o, { method: undefined }) },
        'outgoing.method must be a string, got undefined',
      ],
    ] as [string, PassthroughProxyOptions, string][]) {
      it(`tells the app why: onRequest ${what}`, async () => {
        const sender = await client(options)
        sender.request('GET', '/')
        expect((await sender.response()).status).to.equal(500)
        const message = withEntry('passthroughProxy: onRequest failed', 'ERR_SLUICEWAY_PROXY_HOOK')
        expect(errors[0]).to.include({ message })
        expect(errors[0]?.cause).to.include({ message: cause })
      })
    }
  })
}
