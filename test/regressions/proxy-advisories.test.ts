// What other proxies were found vulnerable to. Each test is named after its advisory and replays it, as bytes, against
// passthroughProxy. Where a whole table of such messages is tested elsewhere, the one that gave rise to it is here.
import { Readable } from 'node:stream'

import { expect } from 'chai'
import express from 'express'
import { attach, bodyCache, passthroughProxy } from 'sluiceway'

import { proxied, request, unmarked, type Proxied } from '../support/proxied.js'
import { asChunk, lastChunk, RawClient } from '../support/raw-client.js'
import { answer, scriptedUpstream } from '../support/scripted-upstream.js'
import { closeServers, serve } from '../support/servers.js'
import { manifest } from '../support/repository.js'

const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n'

/** The header lines that the upstream saw, in lower case, without those that every request has. */
function linesOf(seen: string): string[] {
  const [, , , ...lines] = seen.toLowerCase().trimEnd().split('\r\n')
  return unmarked(lines)
}

describe('advisories about proxies', () => {
  afterEach(closeServers)

  describe('Go, net/http/httputil.ReverseProxy', () => {
    it('CVE-2021-33197: an empty Connection line does not hide what a second one names', async () => {
      const { exchange } = await proxied({ forwarded: false })
      const { seen } = await exchange(
        request('GET', '/', 'Connection:', 'Connection: X-Foo', 'X-Foo: 1', 'X-Bar: 2'),
      )
      expect(linesOf(seen)).to.deep.equal(['x-bar: 2'])
    })

    it('golang/go#50580: a client does not delete what the proxy adds by naming it in Connection', async () => {
      const { exchange } = await proxied({ onRequest: ({ headers }) => headers.set('X-User', 'alice') })
      const { seen } = await exchange(
        request('GET', '/', 'Connection: X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-User'),
      )
      expect(linesOf(seen)).to.have.members([
        'x-forwarded-for: 127.0.0.1',
        'x-forwarded-host: test',
        'x-forwarded-proto: http',
        'x-user: alice',
      ])
    })

    it('CVE-2022-32148: X-Forwarded-For that a hook has deleted stays deleted', async () => {
      const { exchange } = await proxied({ onRequest: ({ headers }) => headers.delete('x-forwarded-for') })
      const { seen } = await exchange(request('GET', '/', 'X-Forwarded-For: 6.6.6.6'))
      expect(seen).not.to.match(/x-forwarded-for/i)
    })

    for (const query of ['a=1&a=2;b=3', 'a=%zz&b', `${'p&'.repeat(11_000)}last=1`]) {
      it(`CVE-2022-2880, CVE-2026-39825: a hook sees the very query the upstream gets (${query.slice(0, 12)})`, async () => {
        let hooked = ''
        const { exchange } = await proxied({ onRequest: ({ path }) => void (hooked = path) })
        const path = `/?${query}`.slice(0, 15_000)
        const { seen } = await exchange(request('GET', path))
        expect(hooked).to.equal(path)
        expect(seen.startsWith(`GET ${path} HTTP/1.1\r\n`)).to.equal(true)
      })
    }

    for (const status of ['417 Expectation Failed', '200 OK']) {
      it(`CVE-2024-24791: Expect and an immediate ${status} leave the upstream connection in order`, async () => {
        const { client, upstream } = await proxied()
        client.write(request('POST', '/', 'Expect: 100-continue', 'Content-Length: 4'))
        await client.untilText('100 Continue\r\n\r\n')
        client.write('body')
        const connection = await upstream.connection()
        expect(await connection.untilText('body')).not.to.match(/expect/i)
        connection.write(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\n\r\n`)
        expect((await client.response()).status).to.equal(Number(status.slice(0, 3)))
        client.write(request('GET', '/next'))
        expect(await connection.untilText('\r\n\r\n')).to.match(/^GET \/next /)
        connection.write(answer())
        expect((await client.response()).status).to.equal(200)
      })
    }

    it('CVE-2021-36221: an upstream that dies under twenty 6 MB uploads with a wrong length ends nothing else', async function () {
      this.timeout(20_000)
      const { server, upstream } = await proxied()
      const body = Buffer.alloc(6 * 1024 * 1024)
      const clients = await Promise.all(Array.from({ length: 20 }, () => RawClient.connect(server.port)))
      for (const client of clients) client.request('POST', '/', {}, body)
      for (const [index] of clients.entries()) {
        const connection = await upstream.connection()
        await connection.untilText('\r\n\r\n')
        connection.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort')
        if (index % 2 === 0) connection.socket.resetAndDestroy()
        else connection.socket.end()
      }
      await Promise.all(clients.map((client) => client.closed()))
      for (const client of clients) client.destroy()
      const next = await RawClient.connect(server.port)
      next.write(request('GET', '/next'))
      const connection = await upstream.connection()
      await connection.untilText('GET /next ')
      connection.write(answer())
      expect((await next.response()).status).to.equal(200)
    })

    it('golang/go#80416: h2c is no tunnel, whatever the client asks for, and HTTP2-Settings goes nowhere', async () => {
      const upstream = await scriptedUpstream()
      const app = express().use(passthroughProxy(upstream.url, { forwarded: false }))
      const { server, port } = await serve(app)
      attach(server, app)
      for (const upgrade of ['h2c', 'H2C', 'h2c, websocket-like', 'h2']) {
        const client = await RawClient.connect(port)
        client.write(
          request(
            'GET',
            '/',
            upgrade === 'h2' ? 'Connection: Upgrade' : 'Connection: Upgrade, HTTP2-Settings',
            `Upgrade: ${upgrade}`,
            'HTTP2-Settings: AAA',
          ),
        )
        const connection = await upstream.connection()
        expect(linesOf(await connection.untilText('\r\n\r\n'))).to.deep.equal([])
        connection.write(answer('plain', 'Connection: close\r\n'))
        expect((await client.response()).body.toString()).to.equal('plain')
        client.destroy()
      }
    })

    it('golang/go#65123: an interim response that comes after the handler has answered is not written', async () => {
      const { client, upstream } = await proxied({
        prepare: (app) => {
          app.use((_req, res, next) => {
            next()
            res.status(503).send('too slow')
          })
        },
      })
      client.write(request('GET', '/'))
      const connection = await upstream.connection()
      expect((await client.response()).body.toString()).to.equal('too slow')
      connection.write(
        'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n',
      )
      connection.write(answer())
      await connection.closed()
      expect(client.pending.length).to.equal(0)
    })
  })

  describe('http-proxy', () => {
    for (const method of ['DELETE', 'OPTIONS', 'GET', 'HEAD']) {
      for (const lines of [
        ['Connection: keep-alive'],
        ['Connection: keep-alive, upgrade', 'Upgrade: x'],
        ['Connection: Transfer-Encoding, upgrade', 'Upgrade: x'],
        ['Connection: Transfer-Encoding'],
      ]) {
        it(`CVE-2026-29057, GHSA-ggv3-7p47-pfv8: the body of a chunked ${method} is no request (${lines[0]})`, async () => {
          const { client, upstream } = await proxied()
          client.write(request(method, '/', 'Transfer-Encoding: chunked', ...lines))
          client.write(asChunk(SMUGGLED), lastChunk)
          const connection = await upstream.connection()
          const seen = await connection.untilText('\r\n0\r\n\r\n')
          expect(seen)
            .to.match(/\r\ntransfer-encoding: chunked\r\n/i)
            .and.not.match(/content-length/i)
          expect(seen.indexOf(SMUGGLED)).to.be.above(seen.indexOf('\r\n\r\n'))
          expect(connection.pending.length).to.equal(0)
        })
      }
    }

    it('GHSA-6x33-pw7p-hmpq (npm 1486): a hook that sets headers for a long body with Expect ends nothing', async () => {
      const { client, upstream } = await proxied({ onRequest: ({ headers }) => headers.set('X-Set', '1') })
      const body = 'x'.repeat(200_000)
      client.write(request('POST', '/', 'Expect: 100-continue', `Content-Length: ${body.length}`))
      await client.untilText('100 Continue\r\n\r\n')
      client.write(body)
      const connection = await upstream.connection()
      expect(await connection.untilText('\r\n\r\n')).to.contain('X-Set: 1\r\n')
      await connection.until((bytes) => (bytes.length === body.length ? true : undefined))
      connection.write(answer())
      expect((await client.response()).status).to.equal(200)
    })
  })

  describe('http-proxy-middleware', () => {
    for (const [what, options] of [
      ['target', { target: () => () => fail() }],
      ['rejecting target', { target: () => async () => fail() }],
      ['path', { path: fail }],
      ['onRequest', { onRequest: fail }],
      ['rejecting onRequest', { onRequest: async () => fail() }],
      ['onResponse', { onResponse: fail }],
      ['rejecting onResponse', { onResponse: (): never => rejecting() as never }],
      ['rewriteLocation', { rewriteLocation: fail }],
    ] as [string, Parameters<typeof proxied>[0]][]) {
      it(`CVE-2024-21536, GHSA-c7qv-q95q-8v27: a ${what} function that fails is a 500, and the process lives`, async () => {
        const { client, upstream, errors } = await proxied(options)
        client.write(request('GET', '/'))
        const response = await Promise.race([client.response(), answeredBy(upstream, client)])
        expect(response.status).to.equal(500)
        expect(errors).to.have.length(1)
      })
    }

    it('CVE-2025-32996, GHSA-4www-5p9h-95mh: a body that fits two content types is written once', async () => {
      const { client, upstream } = await proxied({
        prepare: (app) => {
          app.use(bodyCache(), express.json({ type: () => true }), express.urlencoded({ type: () => true }))
        },
      })
      const type = 'application/x-www-form-urlencoded+application/json'
      client.request('POST', '/', { 'Content-Type': type }, '{"a":1}')
      const connection = await upstream.connection()
      const seen = await connection.untilText('{"a":1}')
      expect(seen).to.match(/\r\ncontent-length: 7\r\n/i)
      connection.write(answer())
      await client.response()
      expect(connection.pending.length).to.equal(0)
    })

    it('CVE-2025-32997, GHSA-9gqv-wp59-fq42: a body whose parser failed is not forwarded', async () => {
      const { client, upstream } = await proxied({
        prepare: (app) => {
          app.use(express.json())
          app.use((_error: unknown, _req: unknown, _res: unknown, next: () => void) => next())
        },
      })
      client.request('POST', '/', { 'Content-Type': 'application/json' }, '{"a":')
      expect((await client.response()).status).to.equal(500)
      expect(upstream.accepted).to.equal(0)
    })

    it('CVE-2026-55602: a Host or a path that only resembles a mount reaches no other backend', async () => {
      const api = await scriptedUpstream()
      const app = express().use('/api', passthroughProxy(api.url))
      app.use((_req, res) => void res.status(404).end())
      const client = await RawClient.connect((await serve(app)).port)
      for (const [path, host] of [
        ['/apix', 'test'],
        ['/x/api', 'test'],
        ['/?/api/x', 'test'],
        ['/x', 'test/api'],
        ['/x', `127.0.0.1:${api.port}`],
      ]) {
        client.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
        expect((await client.response()).status, `${host}${path}`).to.equal(404)
      }
      expect(api.accepted).to.equal(0)
    })

    it('4.1.1: a multipart body arrives byte for byte, with what looks like a boundary inside', async () => {
      const { client, upstream } = await proxied({
        prepare: (app) => {
          app.use(bodyCache(), express.urlencoded({ extended: true }))
        },
      })
      const body = '--b\r\nContent-Disposition: form-data; name="a\r\n--b\r\n"\r\n\r\n1\r\n--b--\r\n'
      client.request('POST', '/', { 'Content-Type': 'multipart/form-data; boundary=b' }, body)
      const connection = await upstream.connection()
      await connection.until((bytes) => (bytes.includes('--b--\r\n') ? true : undefined))
      expect(connection.pending.toString().split('\r\n\r\n').slice(1).join('\r\n\r\n')).to.equal(body)
      connection.write(answer())
      expect((await client.response()).status).to.equal(200)
    })
  })

  describe('@fastify/reply-from and @fastify/http-proxy', () => {
    it('CVE-2026-33805, GHSA-gwhp-pf74-vj37: Connection does not name away what onRequest sets', async () => {
      const { exchange } = await proxied({
        forwarded: false,
        onRequest: ({ headers }) => headers.set('X-Authenticated-User', 'alice'),
      })
      const { seen } = await exchange(
        request('GET', '/', 'Connection: close, x-authenticated-user', 'X-Authenticated-User: root'),
      )
      expect(linesOf(seen)).to.deep.equal(['x-authenticated-user: alice'])
    })

    for (const path of ['/%2E%2E/secret', '/%2e%2E/%2e./secret', '/..%2fsecret', '/a/../../secret']) {
      it(`GHSA-2q7r-29rg-6m5h, CVE-2021-21321, CVE-2021-21322: ${path} does not leave the target's prefix`, async () => {
        const { client, upstream } = await proxied({ prefix: '/base' })
        client.write(request('GET', path))
        expect((await client.response()).status).to.equal(400)
        expect(upstream.accepted).to.equal(0)
      })
    }

    it('GHSA-v574-6498-x57v: targets and paths that make the same text together are kept apart', async () => {
      const one = await scriptedUpstream()
      const two = await scriptedUpstream()
      // As one text both would be http://…/a/b.
      const app = express().use(
        passthroughProxy((req) => (req.headers['x-to'] === 'one' ? `${one.url}/a` : two.url)),
      )
      const client = await RawClient.connect((await serve(app)).port)
      client.write(request('GET', '/b', 'X-To: one'))
      const first = await one.connection()
      expect(await first.untilText('\r\n')).to.equal('GET /a/b HTTP/1.1\r\n')
      first.write(answer())
      await client.response()
      client.write(request('GET', '/a/b', 'X-To: two'))
      const second = await two.connection()
      expect(await second.untilText('\r\n')).to.equal('GET /a/b HTTP/1.1\r\n')
      second.write(answer())
      await client.response()
    })

    for (const type of [
      'application/json\t; charset=utf-8',
      'APPLICATION/JSON;',
      'application/json, text/plain',
      '',
    ]) {
      it(`GHSA-v2v2-hph8-q5xp: the upstream parses the bytes and the Content-Type that the gate saw (${type})`, async () => {
        const { client, upstream } = await proxied({
          prepare: (app) => {
            app.use(bodyCache(), express.json())
          },
        })
        client.request('POST', '/', { 'Content-Type': type }, '{ "a" : 1, "a" : 2 }')
        const connection = await upstream.connection()
        const seen = await connection.untilText('{ "a" : 1, "a" : 2 }')
        expect(seen).to.contain(`\r\nContent-Type: ${type}\r\n`)
        connection.write(answer())
        expect((await client.response()).status).to.equal(200)
      })
    }
  })

  describe('fast-proxy and express-http-proxy', () => {
    for (const path of ['//evil.example/x', '///evil.example/x', '/\\evil.example/x', '/%2F/evil.example']) {
      it(`fastify/fast-proxy#42: ${path} is a path, not an authority`, async () => {
        const { exchange } = await proxied()
        const { seen } = await exchange(request('GET', path))
        expect(seen.startsWith(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1:`)).to.equal(true)
      })
    }

    for (const raw of [
      'Content-Length: 5\r\nTransfer-Encoding: chunked',
      'Transfer-Encoding: chunked\r\nContent-Length: 5',
    ]) {
      it(`relayed by fast-proxy and express-http-proxy: ${JSON.stringify(raw)} is a 502`, async () => {
        const { exchange } = await proxied()
        const { response } = await exchange(
          request('GET', '/'),
          `HTTP/1.1 200 OK\r\n${raw}\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
        )
        expect(response.status).to.equal(502)
      })
    }

    it("express-http-proxy's shared headers: one client's Authorization is in no other's request", async () => {
      const { exchange } = await proxied({ onRequest: ({ headers }) => headers.set('X-Hook', '1') })
      const { seen } = await exchange(request('GET', '/', 'Authorization: Bearer alice', 'Cookie: a=1'))
      expect(seen).to.contain('Bearer alice')
      const { seen: next } = await exchange(request('GET', '/'))
      expect(next).not.to.match(/alice|cookie/i)
    })
  })

  describe('undici, Node, Envoy, tinyproxy', () => {
    it('CVE-2026-6733, GHSA-35p6-xmwp-9g52, CVE-2026-48931: an answer that comes unasked is not the next one', async () => {
      const { client, upstream, exchange } = await proxied()
      const { connection } = await exchange(request('GET', '/'))
      connection.write(answer('poison'))
      client.write(request('GET', '/victim'))
      const next = await upstream.connection()
      await next.untilText('GET /victim ')
      next.write(answer('own'))
      expect((await client.response()).body.toString()).to.equal('own')
    })

    for (const [advisory, change] of [
      ['CVE-2022-31150', (o) => (o.path = '/ HTTP/1.1\r\nX: 1\r\n\r\n')],
      ['CVE-2022-35948', (o) => o.headers.set('Content-Type', 'a\r\n\r\nGET /smuggled HTTP/1.1')],
      ['CVE-2022-35949', (o) => (o.path = '//evil.example/')],
      ['CVE-2022-35949', (o) => (o.path = 'http://evil.example/')],
      ['CVE-2026-1525, GHSA-2mjp-6q6p-2qxm', (o) => o.headers.set('Content-Length', '0')],
      [
        'CVE-2026-1525, GHSA-2mjp-6q6p-2qxm',
        (o) => o.headers.lines.push('Content-Length', '4', 'content-length', '0'),
      ],
    ] as [string, (outgoing: Parameters<NonNullable<HookOptions['onRequest']>>[0]) => unknown][]) {
      it(`${advisory}: ${String(change)} smuggles nothing and leads nowhere else`, async () => {
        const { client, upstream, errors } = await proxied({ onRequest: (outgoing) => void change(outgoing) })
        client.request('POST', '/', {}, 'body')
        const response = await Promise.race([client.response(), answeredBy(upstream, client)])
        if (response.status === 200) expect(String(change)).to.contain("'//evil.example/'")
        else expect(errors[0]).to.have.property('code', 'ERR_SLUICEWAY_PROXY_HOOK')
      })
    }

    it('CVE-2026-1527, GHSA-4992-7rv2-5pvq: no line break passes through upgrade', async () => {
      for (const token of ['websocket\r\nX-Smuggled: 1', 'web socket', 'a\0']) {
        expect(() => passthroughProxy('http://127.0.0.1:9', { upgrade: [token] })).to.throw(TypeError)
      }
      const upstream = await scriptedUpstream()
      const app = express().use(passthroughProxy(upstream.url))
      const { server, port } = await serve(app)
      attach(server, app)
      const client = await RawClient.connect(port)
      client.write(request('GET', '/', 'Connection: Upgrade', 'Upgrade: x y, websocket;q=1\t, websocket'))
      const connection = await upstream.connection()
      expect(await connection.untilText('\r\n\r\n')).to.match(/\r\nupgrade: websocket\r\n/)
      client.destroy()
    })

    it('GHSA-8xcm-r25x-g524: a retry never joins two answers: what was answered in part is not asked for again', async () => {
      const { client, upstream, exchange } = await proxied()
      const { connection } = await exchange(request('GET', '/'))
      client.write(request('GET', '/part'))
      await connection.untilText('GET /part ')
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\nETag: "a"\r\n\r\nhalf')
      await client.untilText('half')
      connection.socket.resetAndDestroy()
      await client.closed()
      expect(upstream.accepted).to.equal(1)
    })

    it('GHSA-m8rv-5g2x-5cg5 and those before it: no undici comes with this package', () => {
      expect(manifest.dependencies).to.be.an('object').and.not.have.property('undici')
    })

    it('r3verii 2026 (ClientRequest.path): no object that is changed later reaches the wire', async () => {
      let kept: { path: string; headers: { set(name: string, value: string): void } } | undefined
      const { client, upstream } = await proxied({
        onRequest(outgoing) {
          kept = outgoing
          outgoing.body = Readable.from(later())
        },
      })
      async function* later(): AsyncGenerator<Buffer> {
        await Promise.resolve()
        if (kept !== undefined) kept.path = '/ HTTP/1.1\r\n\r\nGET /smuggled'
        kept?.headers.set('X-Late', 'a\r\nX-Smuggled: 1')
        yield Buffer.from('body')
      }
      client.request('POST', '/sent', {}, 'x')
      const connection = await upstream.connection()
      const seen = await connection.untilText('0\r\n\r\n')
      expect(seen)
        .to.match(/^POST \/sent HTTP/)
        .and.not.match(/smuggled|X-Late/i)
    })

    it('envoyproxy/envoy#44525: what Connection names is stripped from upgrades too', async () => {
      const upstream = await scriptedUpstream()
      const app = express().use(passthroughProxy(upstream.url))
      const { server, port } = await serve(app)
      attach(server, app)
      const client = await RawClient.connect(port)
      client.write(
        request(
          'GET',
          '/',
          'Connection: Upgrade, X-Internal',
          'Upgrade: websocket',
          'X-Internal: admin',
          'Keep-Alive: 1',
        ),
      )
      const connection = await upstream.connection()
      expect(await connection.untilText('\r\n\r\n')).not.to.match(/x-internal|admin|keep-alive: 1/i)
      client.destroy()
    })

    it('tinyproxy/tinyproxy#623: a space before the colon of Content-Length is refused', async () => {
      const { client, upstream } = await proxied()
      client.write(`POST / HTTP/1.1\r\nHost: test\r\nContent-Length : ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`)
      expect((await client.response()).status).to.equal(400)
      expect(upstream.accepted).to.equal(0)
    })
  })
})

type HookOptions = NonNullable<Parameters<typeof proxied>[0]>

function fail(): never {
  throw new Error('secret')
}

async function rejecting(): Promise<never> {
  return fail()
}

/** Answers the next request that reaches the upstream, and gives what the client gets. */
async function answeredBy(
  upstream: Proxied['upstream'],
  client: RawClient,
): ReturnType<RawClient['response']> {
  const connection = await upstream.connection()
  await connection.untilText('\r\n\r\n')
  connection.write('HTTP/1.1 200 OK\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n')
  return client.response()
}
