// Faults that users of http-proxy, httpxy, http-proxy-middleware, @fastify/http-proxy, fast-proxy and express-http-proxy
// reported, and that we measured in them. Each test is named after one report. Other files test the rest by behaviour:
//
//   a client or an upstream that leaves (http-proxy#1559, httpxy#85)       passthrough-proxy/failures/aborts.test.ts
//   an early answer, the next request (fastify-http-proxy#474)             passthrough-proxy/request/early-answer.test.ts
//   a kept connection that dies (nodejs/node#47130)                        passthrough-proxy/upstream/retry.test.ts
//   a head that waits for the body, server-sent events (HPM#371)           passthrough-proxy/streaming.test.ts
//   hop-by-hop headers, case and order of lines, lost cookies              passthrough-proxy/headers/headers.test.ts
//   bodies of GET and DELETE, HEAD, 204, 304 (HPM#658)                     passthrough-proxy/headers/framing.test.ts
//   103, trailers (caddy#6041, mitmproxy#2229)                             passthrough-proxy/response/interim-and-trailers.test.ts
//   a body that a parser has read (HPM#40, http-proxy#180)                 passthrough-proxy/request/consumed-body.test.ts
//   mounts and prefixes (HPM#225)                                          passthrough-proxy/request/path.test.ts, hosts/composition.test.ts
//   cookies and redirects (HPM#477, http-proxy#1038)                       passthrough-proxy/response/rewrite.test.ts
//   localhost, TLS by default (HPM#705)                                    passthrough-proxy/targets/upstreams.test.ts
//   WebSockets past the app, listeners (HPM#366, HPM#909)                  passthrough-proxy/tunnels/upgrade.test.ts
import type { ServerResponse } from 'node:http'
import { expect } from 'chai'
import compression from 'compression'
import express from 'express'
import { passthroughProxy } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { proxied, request } from '../support/servers/proxied.js'
import { answer, scriptedUpstream } from '../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../support/servers/servers.js'

describe('faults of other proxies', () => {
  afterEach(closeServers)

  it('@fastify/reply-from: a 503 is passed on, not asked for ten times', async () => {
    const { exchange, upstream } = await proxied()
    const { response, connection } = await exchange(
      request('GET', '/'),
      'HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n',
    )
    expect(response.status).to.equal(503)
    expect(response.headers['retry-after']).to.deep.equal(['1'])
    expect(connection.pending.length).to.equal(0)
    expect(upstream.accepted).to.equal(1)
  })

  it("all seven: an upstream's Connection: close does not close the connection of the client", async () => {
    const { client, server, upstream } = await proxied()
    for (let n = 0; n < 3; n++) {
      client.write(request('GET', '/'))
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      connection.socket.end(answer('ok', 'Connection: close\r\n'))
      expect((await client.response()).headers['connection']).to.deep.equal(['keep-alive'])
    }
    expect(server.connections).to.have.length(1)
  })

  for (const [method, head, length] of [
    ['GET', '204 No Content', undefined],
    ['GET', '304 Not Modified', undefined],
    ['GET', '200 OK', '0'],
    ['HEAD', '200 OK', '2000'],
  ] as const) {
    it(`http-proxy-middleware#658, #1121, express-http-proxy#261: compression adds no body to ${method} ${head}`, async () => {
      const { exchange, client } = await proxied({ prepare: (app) => app.use(compression({ threshold: 0 })) })
      const lines = length === undefined ? '' : `Content-Length: ${length}\r\n`
      for (let n = 0; n < 2; n++) {
        const { response } = await exchange(
          request(method, '/', 'Accept-Encoding: gzip'),
          `HTTP/1.1 ${head}\r\nContent-Type: text/plain\r\n${lines}\r\n`,
        )
        expect(response.body.length).to.be.below(21)
        expect(response.headers).not.to.have.property(method === 'HEAD' ? 'content-encoding' : 'x')
      }
      expect(client.pending.length).to.equal(0)
    })
  }

  it('express-http-proxy#236: hooks for headers do not delay the body', async () => {
    const { client, upstream } = await proxied({
      onRequest: async ({ headers }) => headers.set('X-Hook', '1'),
      onResponse: ({ headers }) => headers.set('X-Hook', '1'),
      rewriteLocation: true,
    })
    client.write(request('GET', '/'))
    const connection = await upstream.connection()
    await connection.untilText('\r\n\r\n')
    connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    expect(await client.untilText('\r\n\r\n')).to.contain('X-Hook: 1')
    for (const chunk of ['one', 'two', 'six']) {
      connection.write(`3\r\n${chunk}\r\n`)
      await client.untilText(chunk)
    }
    connection.write('0\r\n\r\n')
    await client.untilText('0\r\n\r\n')
  })

  it('express-http-proxy#554: a GET that a front proxy has made chunked gets its answer', async () => {
    const { client, upstream } = await proxied()
    client.write(request('GET', '/', 'Transfer-Encoding: chunked') + '0\r\n\r\n')
    const connection = await upstream.connection()
    expect(await connection.untilText('\r\n\r\n')).to.match(/^GET /)
    connection.write(answer())
    expect((await client.response()).status).to.equal(200)
  })

  for (const [what, answerEarly] of [
    ['ends its answer', (res: ServerResponse) => void res.end('timed out')],
    ['writes a head', (res: ServerResponse) => void res.writeHead(200).write('timed out')],
    ['destroys it', (res: ServerResponse) => void res.destroy()],
  ] as const) {
    it(`http-proxy#867, #930: an answer that comes after the app ${what} throws nothing`, async () => {
      const upstream = await scriptedUpstream()
      let early: ServerResponse | undefined
      const app = express().use((_req, res, next) => {
        early = res
        next()
      }, passthroughProxy(upstream.url))
      const server = await serve(app)
      const client = await RawClient.connect(server.port)
      client.write(request('GET', '/'))
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      answerEarly(early as ServerResponse)
      connection.write(answer('late'))
      await connection.closed()
      server.connections[0]?.destroy()
      await client.closed()
      expect(client.pending.toString()).not.to.contain('late')
    })
  }

  it('http-proxy#1168, http-proxy-middleware#343: the answer of an error handler is not overwritten', async () => {
    const upstream = await scriptedUpstream()
    const app = express().use(passthroughProxy(upstream.url))
    app.use((_error: unknown, _req: unknown, res: express.Response, _next: unknown) => {
      res.status(418).send('handled')
    })
    const client = await RawClient.connect((await serve(app)).port)
    for (let n = 0; n < 2; n++) {
      client.write(request('GET', '/'))
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      connection.socket.resetAndDestroy()
      expect((await client.response()).body.toString()).to.equal('handled')
    }
  })

  for (const [what, raw] of [
    ['NUL', 'X-Bad: a\0b'],
    ['a bare CR', 'X-Bad: a\rb'],
    ['DEL', 'X-Bad: a\x7fb'],
    ['an empty name', ': a'],
  ] as const) {
    it(`http-proxy#964, #1394, nodejs/node#21509: ${what} in a header of the upstream is a 502, not an exception`, async () => {
      const { exchange } = await proxied()
      const { response } = await exchange(
        request('GET', '/'),
        `HTTP/1.1 200 OK\r\n${raw}\r\nContent-Length: 0\r\n\r\n`,
      )
      expect(response.status).to.be.oneOf(what === 'DEL' ? [200, 502] : [502])
    })
  }

  it('http-proxy-middleware#108, #113: many requests on one connection add no listeners', async () => {
    const { exchange, server } = await proxied()
    const counts: number[] = []
    for (let n = 0; n < 30; n++) {
      await exchange(request('GET', '/'))
      const [socket] = server.connections
      counts.push(
        ['close', 'error', 'end', 'drain'].reduce(
          (sum, event) => sum + (socket?.listenerCount(event) ?? 0),
          0,
        ),
      )
    }
    expect(counts.at(-1)).to.equal(counts[1])
  })
})
