import { once, type EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import http2, { type IncomingHttpHeaders } from 'node:http2'
import { expect } from 'chai'
import { passthroughProxy, type SluicewayError } from 'sluiceway'
import { hosts } from '../../support/express/hosts.js'
import { scriptedUpstream, type ScriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, listen } from '../../support/servers/servers.js'

// Express does not support HTTP/2 requests; bare http does.
const { mount } = hosts[0]!

interface Received {
  readonly head: IncomingHttpHeaders
  readonly hints: readonly IncomingHttpHeaders[]
  readonly trailers: IncomingHttpHeaders | undefined
  readonly body: string
}

async function respond(upstream: ScriptedUpstream, response: string): Promise<void> {
  const connection = await upstream.connection()
  await connection.untilText('\r\n\r\n')
  connection.write(response)
}

function receive(session: http2.ClientHttp2Session): Promise<Received> {
  const stream = session.request({ ':path': '/' })
  const hints: IncomingHttpHeaders[] = []
  let head: IncomingHttpHeaders = {}
  let trailers: IncomingHttpHeaders | undefined
  let body = ''
  stream.on('headers', (hint) => hints.push(hint)).on('response', (given) => (head = given))
  stream.on('trailers', (given) => (trailers = given)).on('data', (chunk: Buffer) => (body += String(chunk)))
  return new Promise((resolve, reject) => {
    stream.on('close', () => resolve({ head, hints, trailers, body })).on('error', reject)
  })
}

/** What a client over HTTP/2 receives from a proxy whose upstream sends this response. */
async function proxied(response: string): Promise<Received> {
  const upstream = await scriptedUpstream()
  void respond(upstream, response)
  const proxy = passthroughProxy(upstream.url)
  const answerErrors = (req: unknown, res: { statusCode: number; end(text: string): void }): void =>
    proxy(req as never, res as never, (error: unknown) => {
      res.statusCode = (error as SluicewayError).status ?? 500
      res.end((error as SluicewayError).code)
    })
  const { port } = await listen(http2.createServer(mount(answerErrors as never) as never) as never)
  const session = http2.connect(`http://127.0.0.1:${port}`)
  try {
    return await receive(session)
  } finally {
    session.destroy()
  }
}

function answerWith(...lines: string[]): string {
  return ['HTTP/1.1 200 OK', ...lines, 'Content-Length: 2', '', 'ok'].join('\r\n')
}

describe('lines of an upstream that Node refuses over HTTP/2', () => {
  afterEach(closeServers)

  for (const [name, lines, sent] of [
    ['x-content-type-options', ['nosniff', 'nosniff'], 'nosniff'],
    ['content-type', ['text/plain', 'text/plain'], 'text/plain'],
    ['location', ['/a', '/a', '/b'], '/a, /b'],
    [
      'date',
      ['Sat, 28 Nov 2026 00:00:00 GMT', 'Sat, 28 Nov 2026 00:00:00 GMT'],
      'Sat, 28 Nov 2026 00:00:00 GMT',
    ],
    ['etag', ['"a"', '"b"'], '"a", "b"'],
    ['content-encoding', ['gzip', 'gzip'], 'gzip, gzip'],
  ] as const) {
    it(`joins the lines of ${name}: ${lines.join(' and ')}`, async () => {
      const { head, body } = await proxied(answerWith(...lines.map((value) => `${name}: ${value}`)))
      expect(body).to.equal('ok')
      expect(head[':status']).to.equal(200)
      expect(head[name]).to.equal(sent)
    })
  }

  it('keeps each line of Set-Cookie', async () => {
    const { head } = await proxied(answerWith('Set-Cookie: a=1', 'Set-Cookie: a=1'))
    expect(head['set-cookie']).to.deep.equal(['a=1', 'a=1'])
  })

  it('removes HTTP2-Settings from a head and from the interim one before it', async () => {
    const hint = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nHTTP2-Settings: AAMAAABk\r\n\r\n'
    const { head, hints, body } = await proxied(`${hint}${answerWith('HTTP2-Settings: AAMAAABk')}`)
    expect(body).to.equal('ok')
    expect(head).not.to.have.property('http2-settings')
    expect(hints.map(({ link }) => link)).to.deep.equal(['</a>'])
  })

  it('passes on 102, for which Node has no method', async () => {
    const { head, hints, body } = await proxied(`HTTP/1.1 102 Processing\r\n\r\n${answerWith('X: y')}`)
    expect(hints.map(({ ':status': status }) => status)).to.deep.equal([102])
    expect({ status: head[':status'], body }).to.deep.equal({ status: 200, body: 'ok' })
  })

  it('removes a length from a 103, for which clients reset the stream (RFC 9110 section 8.6)', async () => {
    const hint = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 2\r\n\r\n'
    const { hints, body } = await proxied(`${hint}${answerWith('X: y')}`)
    expect(body).to.equal('ok')
    expect(hints.map(({ link }) => link)).to.deep.equal(['</a>'])
  })

  it('removes HTTP2-Settings from trailers, where Node throws in an event', async () => {
    const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
    const { trailers, body } = await proxied(
      `${head}2\r\nok\r\n0\r\nHTTP2-Settings: AAMAAABk\r\nX-T: 1\r\n\r\n`,
    )
    expect(body).to.equal('ok')
    expect(Object.keys(trailers ?? {})).to.deep.equal(['x-t'])
  })

  it('answers 502 for a status that HTTP/2 of Node cannot send', async () => {
    const { head, body } = await proxied('HTTP/1.1 999 Request Denied\r\nContent-Length: 2\r\n\r\nno')
    expect({ status: head[':status'], body }).to.deep.equal({
      status: 502,
      body: 'ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE',
    })
  })
})

describe('a CONNECT over HTTP/2 that an application gives to the proxy', () => {
  afterEach(closeServers)

  it('is a 400', async () => {
    const proxy = passthroughProxy('http://127.0.0.1:1')
    const server: EventEmitter = http2.createServer(() => {})
    server.on('connect', (req: IncomingMessage, res: ServerResponse) => proxy(req, res))
    const { port } = await listen(server as never)
    const session = http2.connect(`http://127.0.0.1:${port}`)
    const stream = session.request({ ':method': 'CONNECT', ':authority': 'example.com:443' })
    const [head] = (await once(stream, 'response')) as [Record<string, unknown>]
    expect(head[':status']).to.equal(400)
    session.destroy()
  })
})
