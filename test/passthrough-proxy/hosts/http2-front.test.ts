import http2, { type ClientHttp2Session, type ClientHttp2Stream, type OutgoingHttpHeaders } from 'node:http2'
import { PassThrough } from 'node:stream'
import { expect } from 'chai'
import { bodyCache, maxBytes, passthroughProxy, type PassthroughProxyOptions } from 'sluiceway'
import type { RawClient } from '../../support/clients/raw-client.js'
import { DATA, frame, rawStream, RST_STREAM } from '../../support/clients/raw-http2.js'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { unmarked } from '../../support/servers/proxied.js'
import { answer, scriptedUpstream, type ScriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, listen } from '../../support/servers/servers.js'

// Express does not support HTTP/2 requests; bare http does.
const { mount } = hosts[0]!

interface Answered {
  readonly status: unknown
  readonly body: string
}

/** Sends a request over HTTP/2, and returns the answer. Without a body the stream ends with its head. */
function ask(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body?: string | Buffer,
): Promise<Answered> {
  const stream = session.request({ ':path': '/a?b', ...headers }, { endStream: body === undefined })
  if (body !== undefined) stream.end(body)
  return new Promise((resolve, reject) => {
    let status: unknown
    let text = ''
    stream.on('response', (head) => {
      status = head[':status']
    })
    stream.on('data', (chunk: Buffer) => {
      text += String(chunk)
    })
    stream.on('end', () => resolve({ status, body: text })).on('error', reject)
  })
}

describe('passthroughProxy behind an HTTP/2 server', () => {
  let session: ClientHttp2Session
  let upstream: ScriptedUpstream
  afterEach(async () => {
    session.destroy()
    await closeServers()
  })

  async function connect(
    options: PassthroughProxyOptions = {},
    ...before: readonly Handler[]
  ): Promise<number> {
    upstream = await scriptedUpstream()
    const proxy = passthroughProxy(upstream.url, { forwarded: false, ...options })
    const server = http2.createServer(mount(...before, proxy) as never)
    const { port } = await listen(server as never)
    session = http2.connect(`http://127.0.0.1:${port}`)
    session.on('error', () => {})
    return port
  }

  /** What the upstream sees of a request: its start and lines, but for those of the connection. */
  async function seen(asked: Promise<Answered>): Promise<{ lines: string[]; connection: RawClient }> {
    const connection = await Promise.race([
      upstream.connection(),
      asked.then((early) => expect.fail(`it was answered early: ${JSON.stringify(early)}`)),
    ])
    const lines = unmarked((await connection.untilText('\r\n\r\n')).trimEnd().split('\r\n'))
    return { lines: lines.filter((line) => !/^(?:host|connection): /i.test(line)), connection }
  }

  for (const [name, before] of [
    ['alone', []],
    ['behind bodyCache', [bodyCache()]],
    ['behind maxBytes', [maxBytes('1mb')]],
  ] as readonly (readonly [string, Handler[]])[]) {
    for (const [what, headers, body, framing] of [
      [
        'a POST without a length, in chunks',
        { ':method': 'POST' },
        'x'.repeat(100_000),
        'transfer-encoding: chunked',
      ],
      [
        'a POST without a length in one frame, in chunks',
        { ':method': 'POST' },
        'abc',
        'transfer-encoding: chunked',
      ],
      ['a GET with a body', { ':method': 'GET' }, 'abc', 'transfer-encoding: chunked'],
      ['a body with a length', { ':method': 'PUT', 'content-length': 3 }, 'abc', 'content-length: 3'],
      ['a POST that ends with its head', { ':method': 'POST' }, undefined, 'content-length: 0'],
      ['a GET that ends with its head', { ':method': 'GET' }, undefined, undefined],
    ] as const) {
      it(`sends on ${what} (${name})`, async () => {
        await connect({}, ...before)
        const asked = ask(session, headers, body)
        const { lines, connection } = await seen(asked)
        expect(lines).to.deep.equal([
          `${headers[':method']} /a?b HTTP/1.1`,
          ...(framing === undefined ? [] : [framing]),
        ])
        const isChunked = framing?.endsWith('chunked') === true
        const got = await (isChunked ? connection.chunkedBody() : connection.bytes(body?.length ?? 0))
        expect(String(got) === (body ?? '')).to.equal(true)
        connection.write(answer('done'))
        expect(await asked).to.deep.equal({ status: 200, body: 'done' })
      })
    }

    for (const [how, options] of [
      ['', {}],
      [', behind a transform', { onRequest: (outgoing) => void outgoing.pipeThrough(new PassThrough()) }],
    ] as readonly (readonly [string, PassthroughProxyOptions])[]) {
      it(`does not take a stream that was reset for a whole one (${name}${how})`, async () => {
        const port = await connect(options, ...before)
        const client = rawStream(port)
        client.write(frame(DATA, 0, 'abc'))
        const { connection } = await seen(new Promise(() => {}))
        expect(await connection.untilText('abc')).to.equal('3\r\nabc')
        client.write(frame(RST_STREAM, 0, '\0\0\0\0'))
        await connection.closed()
        expect(connection.pending.toString().trim()).to.equal('')
        client.destroy()
      })
    }
  }

  it('sends the host that the client asked for, and no pseudo-header', async () => {
    await connect({ preserveHost: true, forwarded: 'replace' })
    const asked = ask(session, { ':authority': 'example.org:81', 'x-a': '1' })
    const connection = await upstream.connection()
    const head = await connection.untilText('\r\n\r\n')
    expect(head).to.match(/\r\nhost: example\.org:81\r\n/i)
    expect(head).to.contain('X-Forwarded-Host: example.org:81\r\nX-Forwarded-Proto: http\r\n')
    expect(head).not.to.match(/^:/m)
    connection.write(answer())
    await asked
  })

  it('accepts a Host that repeats :authority, in any case, and refuses any other', async () => {
    await connect({ preserveHost: true })
    const connection = upstream.connection()
    for (const host of ['a.example', 'A.Example']) {
      const asked = ask(session, { ':authority': 'a.example', host })
      const head = await (await connection).untilText('\r\n\r\n')
      expect(head.match(/^host: .*$/gim)).to.deep.equal([`host: ${host}`])
      ;(await connection).write(answer())
      await asked
    }
    const { status } = await ask(session, { ':authority': 'a.example', host: 'b.example' })
    expect(status).to.equal(400)
    expect(String((await connection).pending)).to.equal('')
  })

  it('sends the host that the application has set, in either way', async () => {
    for (const [name, own] of [
      ['host', {}],
      [':authority', {}],
      ['host', { host: 'a.example' }],
      [':authority', { host: 'a.example' }],
    ] as const) {
      await connect({ preserveHost: true }, (req, _res, next) => {
        req.headers[name] = 'b.example'
        next()
      })
      void ask(session, { ':authority': 'a.example', ...own }).catch(() => {})
      const head = await (await upstream.connection()).untilText('\r\n\r\n')
      expect(head.match(/^host: .*$/gim)).to.deep.equal(['host: b.example'])
      session.destroy()
    }
  })

  it('joins the parts of a cookie, and repeated lines, as Node does (RFC 9113 section 8.2.3)', async () => {
    await connect()
    const asked = ask(session, { cookie: ['a=1', 'b=2'], 'x-a': ['1', '2'], 'user-agent': 'z' })
    const { lines, connection } = await seen(asked)
    expect(lines.slice(1)).to.deep.equal(['cookie: a=1; b=2', 'x-a: 1, 2', 'user-agent: z'])
    connection.write(answer())
    await asked
  })

  it('does not take a line that a client repeats for one that the application has set', async () => {
    await connect({ forwarded: 'replace' })
    const asked = ask(session, { 'x-forwarded-user': ['root', 'admin'], 'x-a': '1' })
    const { lines, connection } = await seen(asked)
    expect(lines[1]).to.equal('x-a: 1')
    expect(lines.join()).not.to.contain('root')
    connection.write(answer())
    await asked
  })

  it('sends on the headers that the application has changed, and those that it has not', async () => {
    await connect({}, (req, _res, next) => {
      req.headers['authorization'] = 'Bearer server'
      delete req.headers['x-gone']
      req.headers['X-New'] = '1'
      req.headers['content-length'] = '7'
      // Node keeps it in a pseudo-header.
      req.method = 'PUT'
      next()
    })
    const asked = ask(session, { authorization: 'Basic client', cookie: ['a=1', 'b=2'], 'x-gone': '1' })
    const { lines, connection } = await seen(asked)
    expect(lines).to.deep.equal([
      'PUT /a?b HTTP/1.1',
      'authorization: Bearer server',
      'cookie: a=1; b=2',
      'X-New: 1',
      'content-length: 0',
    ])
    connection.write(answer())
    await asked
  })

  it('passes on trailers by name, and a redirect to the host that the client asked for', async () => {
    const port = await connect({ preserveHost: true, rewriteLocation: true })
    const stream = session.request({ ':path': '/' })
    const head = new Promise<Record<string, unknown>>((resolve) => stream.on('response', resolve))
    const trailers = new Promise<Record<string, unknown>>((resolve) => stream.on('trailers', resolve))
    const connection = await upstream.connection()
    await connection.untilText('\r\n\r\n')
    connection.write(
      `HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:${port}/next\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n` +
        '2\r\nok\r\n0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n',
    )
    expect(await head).to.include({ ':status': 302, location: '/next' })
    stream.resume()
    expect(await trailers).to.include({ 'x-sum': '1, 2' })
  })

  it('refuses a body that was read already', async () => {
    await connect({}, (req, _res, next) => {
      req.on('end', () => next()).resume()
    })
    const { status, body } = await ask(session, { ':method': 'POST' }, 'abc')
    expect(status).to.equal(500)
    expect(body).to.contain('already read')
  })

  for (const method of ['GET', 'HEAD', 'DELETE']) {
    for (const [way, leave] of [
      [
        'resets its stream',
        (stream: ClientHttp2Stream): void => stream.close(http2.constants.NGHTTP2_CANCEL),
      ],
      ['destroys its session', (): void => session.destroy()],
    ] as const) {
      it(`ends the upstream request of a client that ${way} before the answer to ${method}`, async () => {
        await connect()
        const stream = session.request({ ':path': '/', ':method': method })
        stream.on('error', () => {})
        const connection = await upstream.connection()
        await connection.untilText('\r\n\r\n')
        leave(stream)
        await connection.closed()
      })
    }
  }

  it('ends the upstream request of a client that leaves during its upload', async () => {
    const port = await connect()
    const client = rawStream(port)
    client.write(frame(DATA, 0, 'abc'))
    const { connection } = await seen(new Promise(() => {}))
    expect(await connection.untilText('abc')).to.equal('3\r\nabc')
    client.destroy()
    await connection.closed()
    expect(connection.pending.toString().trim()).to.equal('')
  })
})
