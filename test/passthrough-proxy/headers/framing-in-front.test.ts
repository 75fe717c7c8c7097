import http2 from 'node:http2'
import { expect } from 'chai'
import express, { type ErrorRequestHandler } from 'express'
import { passthroughProxy, type ResponseHook, type SluicewayError } from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { hosts, type Handler } from '../../support/express/hosts.js'
import { scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, listen, serve } from '../../support/servers/servers.js'

const setting =
  (name: string, value: string): Handler =>
  (_req, res, next) => {
    res.setHeader(name, value)
    next()
  }

/** As compression and on-headers do. */
const wrapping: Handler = (_req, res, next) => {
  const writeHead = res.writeHead.bind(res) as (...args: unknown[]) => never
  res.writeHead = (...args: unknown[]) => writeHead(...args)
  next()
}

const asking =
  (method: string): Handler =>
  (req, _res, next) => {
    req.method = method
    next()
  }

const through: Handler = (_req, _res, next) => next()

const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'
const answers = {
  'in chunks': [CHUNKED, 'hello'],
  'with a length': ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello', 'hello'],
  'without a body': ['HTTP/1.1 204 No Content\r\n\r\n', ''],
} as const

for (const { name, mount } of hosts) {
  describe(`passthroughProxy behind a middleware that sets the framing (${name})`, () => {
    afterEach(closeServers)

    for (const [field, value] of [
      ['Content-Length', '3'],
      ['Transfer-Encoding', 'chunked'],
      ['Trailer', 'X-Sum'],
    ] as const) {
      for (const front of [through, wrapping]) {
        for (const [how, [raw, body]] of Object.entries(answers)) {
          const beside = front === wrapping ? ', beside one that wraps writeHead' : ''
          it(`frames an answer ${how} as the upstream does: ${field}${beside}`, async () => {
            const upstream = await scriptedUpstream()
            const app = mount(front, setting(field, value), passthroughProxy(upstream.url))
            const client = await RawClient.connect((await serve(app)).port)
            client.request('GET', '/1')
            const connection = await upstream.connection()
            await connection.untilText('\r\n\r\n')
            connection.write(raw)
            const first = await client.response()
            expect(first.body.toString()).to.equal(body)
            const { 'content-length': lengths = [], 'transfer-encoding': codings = [] } = first.headers
            expect([...lengths, ...codings]).to.have.length(body === '' ? 0 : 1)
            client.request('GET', '/2')
            await connection.untilText('/2')
            connection.write(raw)
            expect((await client.response()).body.toString()).to.equal(body)
          })
        }
      }
    }
  })

  describe(`passthroughProxy behind a middleware that sets the method (${name})`, () => {
    afterEach(closeServers)

    it('sends it in upper case, as http.request does', async () => {
      const upstream = await scriptedUpstream()
      const { port } = await serve(mount(asking('patch'), passthroughProxy(upstream.url)))
      const client = await RawClient.connect(port)
      client.request('POST', '/', {}, 'hi')
      const connection = await upstream.connection()
      expect(await connection.untilText('\r\n\r\nhi')).to.match(/^PATCH \/ HTTP/)
    })

    it('refuses a TRACE with a body in lower case too', async () => {
      const upstream = await scriptedUpstream()
      const { port } = await serve(mount(asking('trace'), passthroughProxy(upstream.url)))
      const client = await RawClient.connect(port)
      client.request('POST', '/', {}, 'hi')
      expect((await client.response()).status).to.equal(400)
    })

    it('promises a client that has not asked with HEAD no body that does not come', async () => {
      const upstream = await scriptedUpstream()
      const { port } = await serve(mount(asking('HEAD'), passthroughProxy(upstream.url)))
      const client = await RawClient.connect(port)
      client.request('POST', '/')
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n')
      const { headers, body } = await client.response()
      expect([headers['content-length'] ?? [], body.length]).to.deep.equal([[], 0])
    })

    it('announces no trailers to a client that has asked with HEAD', async () => {
      const upstream = await scriptedUpstream()
      const { port } = await serve(mount(asking('GET'), passthroughProxy(upstream.url)))
      const client = await RawClient.connect(port)
      client.request('HEAD', '/')
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      connection.write(
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n',
      )
      const { status, headers } = await client.response()
      expect([status, headers['trailer']]).to.deep.equal([200, undefined])
    })
  })
}

describe('passthroughProxy behind a middleware that sets the framing, over HTTP/2', () => {
  afterEach(closeServers)

  it('sends the whole of an answer in chunks', async () => {
    const upstream = await scriptedUpstream()
    const app = hosts[0]!.mount(setting('Content-Length', '3'), passthroughProxy(upstream.url))
    const { port } = await listen(http2.createServer(app as never) as never)
    const session = http2.connect(`http://127.0.0.1:${port}`)
    try {
      const stream = session.request({ ':path': '/' })
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      connection.write(CHUNKED)
      let text = ''
      for await (const chunk of stream) text += String(chunk)
      expect(text).to.equal('hello')
    } finally {
      session.destroy()
    }
  })
})

describe('passthroughProxy behind a middleware that sets the method, with a head that cannot be written', () => {
  afterEach(closeServers)

  for (const [asked, method] of [
    ['HEAD', 'GET'],
    ['GET', 'HEAD'],
  ] as const) {
    it(`answers ${asked} made ${method} with an error as ${asked}`, async () => {
      const upstream = await scriptedUpstream()
      const onResponse: ResponseHook = ({ headers }) => headers.set('X-Bad', 'a\0b')
      const report: ErrorRequestHandler = (error: SluicewayError, _req, res, _next) => {
        res.statusCode = error.status
        res.end('failed')
      }
      const proxy = passthroughProxy(upstream.url, { onResponse })
      const { port } = await serve(express().use(asking(method) as never, proxy, report))
      const client = await RawClient.connect(port)
      client.write(`${asked} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      connection.write('HTTP/1.1 204 No Content\r\n\r\n')
      await client.closed()
      const answer = String(client.pending)
      expect(answer).to.match(/^HTTP\/1\.1 500 /)
      expect(answer.split('\r\n\r\n')[1]).to.equal(asked === 'HEAD' ? '' : 'failed')
    })
  }
})
