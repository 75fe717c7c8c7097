import { once } from 'node:events'
import http2, {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { bodyCache, maxBytes } from 'sluiceway'
import { type Handler, hosts } from '../support/express/hosts.js'
import { closeServers, listen } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'

// Express does not support HTTP/2 requests; bare http does.
const { mount } = hosts[0]!
const { NGHTTP2_NO_ERROR, NGHTTP2_CANCEL } = http2.constants
const POST = { ':method': 'POST' }

const echo: Handler = (req, res, next) => void text(req).then((body) => res.end(body), next)

describe('maxBytes on HTTP/2', () => {
  const sessions: ClientHttp2Session[] = []
  /** The server's sides of streams. */
  const open = new Set<ServerHttp2Stream>()
  afterEach(async () => {
    for (const stream of open) await once(stream, 'close')
    for (const session of sessions.splice(0)) session.destroy()
    await closeServers()
  })

  async function connect(...handlers: readonly Handler[]): Promise<{
    session: ClientHttp2Session
    bytesRead: () => number
  }> {
    const server = http2.createServer(mount(...handlers) as never)
    server.on('stream', (stream) => {
      open.add(stream)
      stream.on('close', () => open.delete(stream))
    })
    const { port, connections } = await listen(server as never)
    const session = http2.connect(`http://127.0.0.1:${port}`)
    sessions.push(session)
    return { session, bytesRead: () => connections[0]!.bytesRead }
  }

  it('does not take a body for cut of which other code has read a part before', async () => {
    const peek: Handler = (req, _res, next) => {
      req.once('data', () => {
        req.pause()
        setImmediate(next)
      })
    }
    const rest: Handler = async (req, res) => res.end(await text(req))
    const { session } = await connect(peek, maxBytes(100), rest)
    const stream = session.request({ ...POST, 'content-length': '10' })
    const answer = text(stream)
    stream.write('begin')
    setTimeout(() => stream.end('ended'), 50)
    expect(await answer).to.equal('ended')
  })

  it('refuses a stream past the limit, in the middle of it, and keeps the session', async () => {
    const { session } = await connect(maxBytes(10), echo)
    const statuses: unknown[] = []
    for (const body of ['0123456789', '0123456789x', 'ok']) {
      const stream = session.request(POST)
      const answer = answerOf(stream)
      // The body that is refused does not end by itself.
      if (body.length > 10) stream.write(body)
      else stream.end(body)
      const { status, rstCode } = await answer
      statuses.push([status, rstCode])
    }
    expect(statuses).to.deep.equal([
      [200, NGHTTP2_NO_ERROR],
      [413, NGHTTP2_NO_ERROR],
      [200, NGHTTP2_NO_ERROR],
    ])
  })

  it('refuses an announced length before a later handler runs and before a byte of the body', async () => {
    let reached = false
    const { session } = await connect(maxBytes(10), (req, res, next) => {
      reached = true
      echo(req, res, next)
    })
    const { status, headers } = await answerOf(session.request({ ...POST, 'content-length': 11 }))
    expect([status, headers['connection'], reached]).to.deep.equal([413, undefined, false])
    const next = session.request({ ...POST, 'content-length': 10 })
    next.end('0123456789')
    expect(await answerOf(next)).to.include({ status: 200, body: '0123456789' })
  })

  it('refuses one stream while another of the session continues', async () => {
    const { session } = await connect(maxBytes(10), echo)
    const good = session.request(POST)
    const goodAnswer = answerOf(good)
    good.write('01234')
    const bad = session.request(POST)
    bad.write('0123456789x')
    expect(await answerOf(bad)).to.include({ status: 413, rstCode: NGHTTP2_NO_ERROR })
    good.end('56789')
    expect(await goodAnswer).to.include({ status: 200, body: '0123456789', rstCode: NGHTTP2_NO_ERROR })
  })

  for (const [what, handler, expected] of [
    ['its limit', echo, 413],
    ['an answer before reading', ((_req, res) => res.writeHead(403).end('no')) as Handler, 403],
  ] as const) {
    it(`reads little more than a window from an endless sender after ${what}`, async () => {
      const { session, bytesRead } = await connect(maxBytes('100kb'), handler)
      const stream = session.request(POST)
      const answer = answerOf(stream)
      const block = Buffer.alloc(16 * 1024)
      const send = (): void => {
        while (stream.writable && stream.write(block));
      }
      stream.on('drain', send)
      send()
      // It has more to send than it may, for which its own end of the stream would wait.
      stream.once('end', () => stream.destroy())
      expect(await answer).to.include({ status: expected, rstCode: NGHTTP2_NO_ERROR })
      // The client had no more to send than the stream's window, which is 64 KiB, and what had been read of it.
      expect(bytesRead()).to.be.below(512 * 1024)
      const next = session.request(POST)
      next.end('next')
      expect((await answerOf(next)).status).to.equal(expected === 413 ? 200 : 403)
    })
  }

  // Without a Content-Length Node itself cannot tell: the body ends as if it were whole, 'aborted' comes a moment later.
  for (const [when, behind, code] of [
    ['in the body', [maxBytes(10)], 'ERR_STREAM_PREMATURE_CLOSE'],
    ['in a body that is kept', [maxBytes(10), bodyCache()], 'ERR_STREAM_PREMATURE_CLOSE'],
  ] as const) {
    it(`tells the reader when the client cancels its stream ${when}, and keeps the session`, async () => {
      const { promise: reading, resolve: begin } = deferred()
      const { promise: told, resolve: tell } = deferred<string | undefined>()
      const read: Handler = (req, res, next) => {
        if (req.url === '/next') return echo(req, res, next)
        req.once('data', begin)
        return text(req).then(
          () => tell('whole'),
          (error: Error & { code?: string }) => tell(error.code),
        )
      }
      const { session } = await connect(...behind, read)
      const stream = session.request({ ...POST, 'content-length': 9 })
      stream.on('error', () => {})
      stream.write('01234')
      await reading
      stream.close(NGHTTP2_CANCEL)
      expect(await told).to.equal(code)
      const next = session.request({ ...POST, ':path': '/next' })
      next.end('next')
      expect(await answerOf(next)).to.include({ status: 200, body: 'next' })
    })
  }

  it('survives a client that cancels its stream in the body, and keeps the session', async () => {
    const { promise: reading, resolve: begin } = deferred()
    const watch: Handler = (req, _res, next) => next(void req.once('data', begin))
    const { session } = await connect(maxBytes(10), watch, echo)
    const stream = session.request(POST)
    stream.on('error', () => {})
    stream.write('01234')
    await reading
    stream.close(NGHTTP2_CANCEL)
    const next = session.request(POST)
    next.end('next')
    expect(await answerOf(next)).to.include({ status: 200, body: 'next' })
  })

  it('survives a client that cancels its stream after it has the 413', async () => {
    const { session } = await connect(maxBytes(10), echo)
    for (let round = 0; round < 20; round++) {
      const stream = session.request(POST)
      stream.on('error', () => {})
      stream.write('0123456789x')
      const [{ ':status': status }] = (await once(stream, 'response')) as [IncomingHttpHeaders]
      expect(status).to.equal(413)
      const closed = once(stream.resume(), 'close')
      stream.close(NGHTTP2_CANCEL)
      await closed
    }
    const next = session.request(POST)
    next.end('next')
    expect(await answerOf(next)).to.include({ status: 200, body: 'next' })
  })

  it('lets a kept body be read again', async () => {
    const twice: Handler = async (req, res) => res.end(`${await text(req)} ${await req.bodyCache.text()}`)
    const { session } = await connect(maxBytes(10), bodyCache(), twice)
    const stream = session.request(POST)
    stream.end('01234')
    expect(await answerOf(stream)).to.include({ status: 200, body: '01234 01234' })
  })

  for (const [what, behind] of [
    ['a body', [maxBytes('100kb')]],
    ['a kept body', [maxBytes('100kb'), bodyCache()]],
  ] as const) {
    it(`ends the stream of ${what} that passes its limit after an early response, without a listener for errors`, async () => {
      const answerAtOnce: Handler = (req, res) => {
        if (req.url === '/next') return res.end('next')
        req.on('data', () => {})
        return req.once('data', () => res.end('early'))
      }
      const { session } = await connect(...behind, answerAtOnce)
      const stream = session.request(POST)
      const answer = answerOf(stream)
      const block = Buffer.alloc(16 * 1024)
      const send = (): void => {
        while (stream.writable && stream.write(block));
      }
      stream.on('drain', send)
      send()
      expect(await answer).to.include({ status: 200, body: 'early', rstCode: NGHTTP2_NO_ERROR })
      const next = session.request({ ':path': '/next' })
      expect(await answerOf(next)).to.include({ status: 200, body: 'next' })
    })
  }

  for (const [what, behind] of [
    ['a body', [maxBytes('1mb')]],
    ['a kept body', [maxBytes('1mb'), bodyCache()]],
  ] as const) {
    it(`closes the stream of ${what} that was read in part once it is answered`, async () => {
      const { session } = await connect(...behind, (req, res) => {
        req.once('data', () => {
          req.pause()
          res.end('early')
        })
      })
      const stream = session.request(POST)
      // All of it fits into the window, so that Node waits only for its reader.
      stream.end(Buffer.alloc(60_000))
      expect(await answerOf(stream)).to.include({ status: 200, body: 'early' })
      await Promise.all([...open].map((one) => once(one, 'close')))
    })
  }

  for (const body of ['', 'body']) {
    it(`survives an application that pauses a request ${body === '' ? 'without' : 'with'} a body and answers it unread`, async () => {
      const { session } = await connect(maxBytes(10), (req, res) => {
        if (req.url === '/') req.pause()
        res.end('unread')
      })
      const stream = session.request(body === '' ? {} : POST, { endStream: body === '' })
      if (body !== '') stream.end(body)
      expect(await answerOf(stream)).to.include({ status: 200, body: 'unread' })
      await Promise.all([...open].map((one) => once(one, 'close')))
      expect(await answerOf(session.request({ ':path': '/next' }))).to.include({ status: 200 })
    })
  }

  it('sends its own answer when there is no listener for the error', async () => {
    const { session } = await connect(maxBytes(10), (req) => void req.resume())
    const stream = session.request(POST)
    stream.write('0123456789x')
    expect(await answerOf(stream)).to.include({
      status: 413,
      body: 'Payload Too Large',
      rstCode: NGHTTP2_NO_ERROR,
    })
  })
})

interface Http2Answer {
  readonly status: unknown
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** What the stream was closed with. */
  readonly rstCode: number | undefined
}

async function answerOf(stream: ClientHttp2Stream): Promise<Http2Answer> {
  let body = ''
  // Events, as text() wants the client's own side of the stream to be over, too.
  stream.setEncoding('utf8').on('data', (piece: string) => {
    body += piece
  })
  const ended = once(stream, 'end')
  const closed = once(stream, 'close')
  const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders]
  await Promise.all([ended, closed])
  return { status: headers[':status'], headers, body, rstCode: stream.rstCode }
}
