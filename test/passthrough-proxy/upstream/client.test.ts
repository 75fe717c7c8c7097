import { AsyncLocalStorage } from 'node:async_hooks'
import { once } from 'node:events'
import { PassThrough, Readable } from 'node:stream'
import { expect } from 'chai'
import { type ClientOptions, createClient, type Upstream } from '../../support/http1-client.js'
import { collectedBytes } from '../../support/memory.js'
import type { RawClient } from '../../support/raw-client.js'
import { answer, scriptedUpstream, type ScriptedUpstream } from '../../support/scripted-upstream.js'
import { turns } from '../../fuzz/wire.js'
import { closeServers } from '../../support/servers.js'
import { ask, context, RecordingReceiver } from '../../support/upstream-receiver.js'

const settings: ClientOptions = { maxConnections: 2, connectTimeoutMs: 2000, maxResponseHeadBytes: 16_384 }
/** Waits some turns of the event loop: a connection is checked once more after an answer before it is reused. */
const turn = (): Promise<void> => turns(3)

describe("the proxy's own client", () => {
  let server: ScriptedUpstream
  let upstream: Upstream
  let origin: string

  beforeEach(async () => {
    server = await scriptedUpstream()
    origin = server.url
    upstream = createClient(settings)
  })
  afterEach(() => upstream.close())
  afterEach(closeServers)

  /** Asks, and gives the server's side of it once the head is there. */
  async function asked(
    request: Partial<Parameters<typeof ask>[1]> = {},
    connection?: RawClient,
  ): Promise<{ got: RecordingReceiver; connection: RawClient; head: string }> {
    const got = ask(upstream, { origin, ...request })
    const side = connection ?? (await server.connection())
    return { got, connection: side, head: await side.untilText('\r\n\r\n') }
  }

  it('sends a request and receives the whole answer', async () => {
    const { got, connection, head } = await asked({ path: '/a', lines: ['X-A', 'b'] })
    expect(head).to.equal(
      `GET /a HTTP/1.1\r\nhost: 127.0.0.1:${server.port}\r\nconnection: keep-alive\r\nX-A: b\r\n\r\n`,
    )
    connection.write('HTTP/1.1 200 Al')
    await turn()
    connection.write('l right\r\nA: b\r\na: c\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n')
    await got.until('body')
    connection.write('3\r\nllo\r\n0\r\nSum: 1\r\n\r\n')
    await got.ended()
    expect(got).to.include({ status: 200, reason: 'All right', body: 'hello' })
    expect(got.lines).to.deep.equal(['A', 'b', 'a', 'c', 'Transfer-Encoding', 'chunked'])
    expect(got.trailers).to.deep.equal(['Sum', '1'])
    expect(got.events).to.deep.equal(['sending', 'head', 'body', 'end'])
  })

  it('keeps the connection after answers of every kind, even if it was paused', async () => {
    const kinds: [request: object, raw: string][] = [
      [{}, answer()],
      [{ method: 'HEAD' }, 'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n'],
      [{}, 'HTTP/1.1 304 Not\r\nContent-Length: 500\r\n\r\n'],
      [{}, 'HTTP/1.1 204 No\r\n\r\n'],
      [{}, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n'],
      [{ method: 'POST', body: Buffer.from('abc') }, 'HTTP/1.1 404 Not\r\nContent-Length: 0\r\n\r\n'],
      [{ method: 'DELETE', body: Readable.from(['a', 'b']) }, answer()],
      [{}, `HTTP/1.1 100 Continue\r\n\r\n${answer()}`],
    ]
    let connection: RawClient | undefined
    for (const [request, raw] of kinds) {
      const receiver = new RecordingReceiver()
      // As an exchange does whose client is slow, and hears of its room later.
      receiver.onEvent = (name) => name !== 'sending' && receiver.sending?.pause()
      ask(upstream, { origin, ...request }, receiver)
      connection ??= await server.connection()
      await connection.untilText('\r\n\r\n')
      if ('body' in request && request.body instanceof Readable) await connection.untilText('0\r\n\r\n')
      connection.write(raw)
      await receiver.ended()
      receiver.sending?.pause()
      await turn()
    }
    expect(server.accepted).to.equal(1)
  })

  it('reports whether a connection is reused', async () => {
    const first = await asked()
    expect(first.got.sending?.isReused).to.equal(false)
    first.connection.write(answer())
    await first.got.ended()
    await turn()
    const second = await asked({}, first.connection)
    expect(second.got.sending?.isReused).to.equal(true)
    second.connection.write(answer())
    await second.got.ended()
  })

  it('never sends a second request before the first has its answer', async () => {
    const first = await asked()
    const second = await asked()
    const third = ask(upstream, { origin, path: '/third' })
    second.connection.write(answer('2'))
    await second.connection.untilText('GET /third')
    second.connection.write(answer('3'))
    await third.ended()
    expect([second.got.body, third.body, first.got.events]).to.deep.equal(['2', '3', ['sending']])
    expect(first.connection.pending.length).to.equal(0)
    first.connection.write(answer('1'))
    await first.got.ended()
  })

  for (const [title, behind] of Object.entries({
    'a byte too many': 'x',
    'a second response': answer('poison'),
    'half a second response': 'HTTP/1.1 200 OK\r\nContent-Le',
  })) {
    it(`closes the connection after ${title}, which reaches no receiver`, async () => {
      const first = await asked()
      first.connection.write(answer('first') + behind)
      expect((await first.got.ended()).body).to.equal('first')
      await first.connection.closed()
      const second = await asked()
      second.connection.write(answer('second'))
      expect((await second.got.ended()).body).to.equal('second')
    })

    it(`closes an idle connection that receives ${title}`, async () => {
      const first = await asked()
      first.connection.write(answer('first'))
      await first.got.ended()
      await turn()
      first.connection.write(behind)
      await first.connection.closed()
      const second = await asked()
      second.connection.write(answer('second'))
      expect((await second.got.ended()).body).to.equal('second')
      expect(second.got.sending?.isReused).to.equal(false)
    })
  }

  it('closes the connection even if the extra byte comes only with the next read', async () => {
    const client = createClient({ ...settings, maxConnections: 1 })
    const first = ask(client, { origin })
    const second = ask(client, { origin, path: '/second' })
    const connection = await server.connection()
    await connection.untilText('\r\n\r\n')
    // As much as is read at once, so that the response ends where the memory does.
    const head = 'HTTP/1.1 200 OK\r\nContent-Length: 65000\r\n'
    const filler = `A: ${'a'.repeat(65_536 - 65_000 - head.length - 7)}\r\n\r\n`
    connection.write(head + filler + 'b'.repeat(65_000) + answer('poison'))
    await first.ended()
    const next = await server.connection()
    await next.untilText('GET /second ')
    next.write(answer('second'))
    expect((await second.ended()).body).to.equal('second')
    client.close()
  })

  it('does not reuse a connection that its server closes', async () => {
    for (const raw of [
      'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n',
      'HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n',
      'HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 0\r\n\r\n',
    ]) {
      const { got, connection } = await asked()
      connection.write(raw)
      await got.ended()
      await connection.closed()
    }
  })

  it('does not reuse a connection after a request with Connection: close', async () => {
    const { got, connection, head } = await asked({ lines: ['Connection', 'close'] })
    expect(head).to.contain('\r\nconnection: close\r\n')
    connection.write(answer())
    await got.ended()
    await connection.closed()
  })

  it('takes an orderly end of the connection, but not a reset, for the end of a body without framing', async () => {
    const fin = await asked()
    fin.connection.write('HTTP/1.1 200 OK\r\n\r\nall of it')
    fin.connection.socket.end()
    expect((await fin.got.ended()).body).to.equal('all of it')
    const cut = await asked()
    cut.connection.write('HTTP/1.1 200 OK\r\n\r\nnot all')
    await cut.got.until('body')
    cut.connection.socket.resetAndDestroy()
    expect(await cut.got.failed()).to.include({ kind: 'reset', maybeHeard: true })
  })

  it('does not take a reset that comes with the last bytes for that end either, although libuv turns it into an end', async () => {
    const { got, connection } = await asked()
    connection.write('HTTP/1.1 200 OK\r\n\r\nnot all')
    connection.socket.resetAndDestroy()
    expect(await got.failed()).to.include({ kind: 'reset', maybeHeard: true })
  })

  for (const raw of [
    '',
    'HTTP/1.1 2',
    'HTTP/1.1 200 OK\r\nA: b\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n',
    'HTTP/1.1 103 Early\r\n\r\n',
  ]) {
    it(`fails if ${JSON.stringify(raw)} is all that arrives`, async () => {
      const { got, connection } = await asked()
      connection.write(raw)
      connection.socket.end()
      expect(await got.failed()).to.include({ kind: 'reset', maybeHeard: true })
    })
  }

  it('fails on bytes that are not a response, and answers the next request correctly', async () => {
    const { got, connection } = await asked()
    connection.write('HTTP/1.1 200 OK\r\nA : b\r\n\r\n')
    const failure = await got.failed()
    expect(failure).to.include({
      kind: 'malformed',
      message: 'the upstream sent a header line without a name',
    })
    await connection.closed()
  })

  it('fails on a head that is too large', async () => {
    const { got, connection } = await asked()
    connection.write(`HTTP/1.1 200 OK\r\nA: ${'b'.repeat(20_000)}\r\n\r\n`)
    const failure = await got.failed()
    expect(failure).to.include({ kind: 'malformed', message: 'the headers of the upstream are too large' })
  })

  it('fails if no server listens', async () => {
    const got = ask(upstream, { origin: 'http://127.0.0.1:1' })
    expect(got.events).to.deep.equal([])
    const failure = await got.failed()
    expect(failure).to.include({ kind: 'unreachable', maybeHeard: false })
    expect(failure.cause).to.include({ code: 'ECONNREFUSED' })
  })

  it('fails a request that cannot be sent, without opening a connection', async () => {
    const got = ask(upstream, { origin, path: '/a b' })
    expect(got.events).to.deep.equal([])
    expect(await got.failed()).to.include({ kind: 'unsendable', maybeHeard: false })
    expect(server.accepted).to.equal(0)
  })

  describe('with its receivers', () => {
    for (const event of ['sending', 'information', 'head', 'body', 'end']) {
      it(`fails with the error that a receiver throws at '${event}'`, async () => {
        const thrown = new Error('thrown')
        const receiver = new RecordingReceiver()
        receiver.onEvent = (name) => {
          if (name !== event) return
          if (name === 'end') receiver.events.pop()
          throw thrown
        }
        ask(upstream, { origin }, receiver)
        const connection = await server.connection()
        if (event !== 'sending') {
          await connection.untilText('\r\n\r\n')
          connection.write('HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na')
          await Promise.race([receiver.until('body'), receiver.failed()]).catch(() => {})
          connection.write('b')
        }
        expect((await receiver.failed()).cause).to.equal(thrown)
        await connection.closed()
      })

      it(`calls a receiver no more after it gives up at '${event}'`, async () => {
        const receiver = new RecordingReceiver()
        receiver.onEvent = (name) => {
          if (name === event) receiver.waiting.abandon()
        }
        ask(upstream, { origin }, receiver)
        const connection = await server.connection()
        await connection.untilText('\r\n\r\n').catch(() => {})
        connection.write('HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na')
        await Promise.race([receiver.until('body'), connection.closed()])
        connection.write('b')
        if (event !== 'end') await connection.closed()
        else {
          await receiver.ended()
          await turn()
          const next = await asked({}, connection)
          next.connection.write(answer())
          await next.got.ended()
        }
        expect(receiver.events.at(-1)).to.equal(event)
      })
    }

    it("fails with the error that a receiver throws at an 'end' made by the end of the connection", async () => {
      const thrown = new Error('thrown')
      const receiver = new RecordingReceiver()
      receiver.onEnd = () => {
        throw thrown
      }
      const got = ask(upstream, { origin }, receiver)
      const connection = await server.connection()
      await connection.untilText('\r\n\r\n')
      connection.write('HTTP/1.1 200 OK\r\n\r\nrest')
      connection.socket.end()
      expect(await got.failed()).to.include({ kind: 'malformed', maybeHeard: true, cause: thrown })
      await connection.closed()
    })

    it('runs them in the context of their own request, whichever request opened the connection', async () => {
      const got: RecordingReceiver[] = []
      for (const name of ['a', 'b', 'c', 'd']) got.push(context.run(name, () => ask(upstream, { origin })))
      const connections = [await server.connection(), await server.connection()]
      for (let answered = 0; answered < 4; answered++) {
        const connection = connections[answered % 2]!
        await connection.untilText('\r\n\r\n')
        connection.write('HTTP/1.1 103 Early\r\n\r\n')
        await turn()
        connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na')
        await turn()
        if (answered < 3) connection.write('b')
        else connection.destroy()
      }
      await got[3]!.failed()
      for (const receiver of got.slice(0, 3)) await receiver.ended()
      expect(got.map(({ contexts }) => [...contexts])).to.deep.equal([['a'], ['b'], ['c'], ['d']])
    })

    it('reports a failure in the context of their own request', async () => {
      const names = ['/a b', '/', '/']
      const origins = [origin, 'http://127.0.0.1:1', 'http://127.0.0.1:1']
      const got = names.map((path, index) =>
        context.run(String(index), () => ask(upstream, { origin: origins[index]!, path })),
      )
      for (const receiver of got) await receiver.failed()
      expect(got.map(({ contexts }) => [...contexts])).to.deep.equal([['0'], ['1'], ['2']])
    })

    it('keeps nothing of their context in a connection', async () => {
      const held = await (async (): Promise<WeakRef<object>> => {
        const store = { name: 'a' }
        const als = new AsyncLocalStorage<object>()
        const got = als.run(store, () => ask(upstream, { origin }))
        const connection = await server.connection()
        await connection.untilText('\r\n\r\n')
        connection.write(answer())
        await got.ended()
        return new WeakRef(store)
      })()
      for (let round = 0; held.deref() !== undefined && round < 50; round++) {
        await collectedBytes()
      }
      expect(held.deref()).to.equal(undefined)
    })
  })

  describe('with its read buffer', () => {
    it('reads into another buffer while the last one is still needed', async () => {
      const kept: Buffer[] = []
      const receiver = new RecordingReceiver()
      receiver.onBody = (chunk) => void kept.push(chunk)
      receiver.onReadOver = () => true
      receiver.onEnd = function (trailers, last) {
        kept.push(last!)
        return RecordingReceiver.prototype.onEnd.call(this, trailers, last)
      }
      ask(upstream, { origin }, receiver)
      const connection = await server.connection()
      await connection.untilText('\r\n\r\n')
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n')
      for (const letter of 'abc') connection.write(letter.repeat(100_000))
      await receiver.ended()
      const all = Buffer.concat(kept).toString()
      expect(all).to.equal('a'.repeat(100_000) + 'b'.repeat(100_000) + 'c'.repeat(100_000))
      connection.destroy()
    })

    it('stops reading while it is paused', async () => {
      const { got, connection } = await asked()
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n')
      await got.until('head')
      got.sending!.pause()
      const flushed = new Promise<void>((resolve) => {
        connection.socket.write(Buffer.alloc(50_000_000), () => resolve())
      })
      for (let round = 0; round < 50; round++) await turn()
      expect(got.chunks.length).to.be.below(3)
      got.sending!.resume()
      await flushed
      await got.ended()
      expect(got.body.length).to.equal(50_000_000)
    })
  })

  describe('with uploads', () => {
    it('sends a head and a small body in one piece', async () => {
      for (const body of [Buffer.from('abc'), 'abc', Readable.from(['abc'])]) {
        const got = ask(upstream, {
          origin,
          method: 'PUT',
          body,
          contentLength: '3',
          lines: ['Connection', 'close'],
        })
        const connection = await server.connection()
        await once(connection.socket, 'data')
        expect(connection.pending.toString()).to.match(/\r\n\r\nabc$/)
        connection.write(answer())
        await got.ended()
      }
    })

    it('sends a stream chunk by chunk, with trailers, as it comes', async () => {
      const body = new PassThrough()
      const { got, connection, head } = await asked({
        method: 'POST',
        body,
        trailers: () => ['X-Sum', '1', 'Host', 'evil'],
      })
      expect(head).to.contain('\r\ntransfer-encoding: chunked\r\n')
      for (const piece of ['abc', 'a'.repeat(20)]) {
        body.write(piece)
        expect(await connection.untilText('\r\n')).to.equal(`${piece.length.toString(16)}\r\n`)
        expect(await connection.untilText('\r\n')).to.equal(`${piece}\r\n`)
      }
      body.end()
      expect(await connection.untilText('\r\n\r\n')).to.equal('0\r\nX-Sum: 1\r\n\r\n')
      connection.write(answer())
      await got.ended()
    })

    it('sends no empty chunk, which would be the last', async () => {
      const body = Readable.from([Buffer.alloc(0), Buffer.from('a'), '', Buffer.from('b')])
      const { got, connection } = await asked({ method: 'POST', body })
      expect((await connection.chunkedBody()).toString()).to.equal('ab')
      connection.write(answer())
      await got.ended()
    })

    it('accepts a stream that has already ended or was destroyed', async () => {
      const ended = Readable.from([])
      await once(ended.resume(), 'end')
      const { got, connection } = await asked({ method: 'POST', body: ended })
      expect(await connection.chunkedBody()).to.have.length(0)
      connection.write(answer())
      await got.ended()
      await turn()
      const destroyed = new PassThrough().destroy()
      await once(destroyed, 'close')
      const broken = ask(upstream, { origin, method: 'POST', body: destroyed })
      expect(await broken.failed()).to.include({ kind: 'reset' })
    })

    it('sends a large body from memory', async () => {
      const body = Buffer.alloc(3_000_000, 'a')
      const { got, connection, head } = await asked({ method: 'POST', body })
      expect(head).to.contain('\r\ncontent-length: 3000000\r\n')
      expect((await connection.bytes(3_000_000)).equals(body)).to.equal(true)
      connection.write(answer())
      await got.ended()
    })

    it('reads no more of a body than its server accepts', async () => {
      let given = 0
      const body = new Readable({
        read() {
          given += 65_536
          this.push(Buffer.alloc(65_536))
        },
      })
      const { got, connection } = await asked({ method: 'POST', body })
      connection.socket.pause()
      let before = -1
      while (before !== given) {
        before = given
        for (let round = 0; round < 20; round++) await turn()
      }
      expect(given).to.be.below(20_000_000)
      got.waiting.abandon()
      connection.socket.resume()
      await connection.closed()
      expect(body.isPaused()).to.equal(true)
      expect(body.destroyed).to.equal(false)
      body.destroy()
    })

    it('ends an upload, and its connection, with an answer that refuses it', async () => {
      const body = new PassThrough()
      const { got, connection } = await asked({ method: 'POST', body })
      body.write('abc')
      await connection.untilText('abc\r\n')
      connection.write('HTTP/1.1 413 Too\r\nContent-Length: 2\r\n\r\nn')
      await got.until('head')
      expect(body.isPaused()).to.equal(true)
      body.write('not sent')
      connection.write('o')
      expect((await got.ended()).body).to.equal('no')
      await connection.closed()
      expect(connection.pending.toString()).to.equal('')
    })

    it('reads an answer whose server closes the connection without having read the body', async () => {
      for (let round = 0; round < 10; round++) {
        const body = new Readable({
          read() {
            setImmediate(() => this.push(Buffer.alloc(65_536)))
          },
        })
        const { got, connection } = await asked({ method: 'POST', body })
        await connection.until((bytes) => (bytes.length > 200_000 ? true : undefined))
        connection.socket.pause()
        connection.socket.write(
          'HTTP/1.1 413 Too\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno',
          () => {
            connection.destroy()
          },
        )
        expect(await got.ended()).to.include({ status: 413, body: 'no' })
        body.destroy()
      }
    })

    it('continues to send while an answer arrives that does not refuse the upload', async () => {
      const body = new PassThrough()
      const { got, connection } = await asked({ method: 'POST', body })
      connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n')
      await got.until('head')
      body.write('abc')
      await connection.untilText('abc\r\n')
      body.end()
      await connection.untilText('0\r\n\r\n')
      connection.write('0\r\n\r\n')
      await got.ended()
      await turn()
      const next = await asked({}, connection)
      next.connection.write(answer())
      await next.got.ended()
    })

    for (const [title, trailers, cause] of [
      ['cannot be sent', () => ['X-A', 'b\r\nX-C: d'], 'a value of X-A that cannot be sent'],
      ['throw', throwing, 'thrown'],
    ] as const) {
      it(`cuts a request whose trailers ${title}`, async () => {
        const body = Readable.from([Buffer.from('abc')])
        const { got, connection } = await asked({ method: 'POST', body, trailers })
        const failure = await got.failed()
        expect(failure).to.include({ kind: 'unsendable', maybeHeard: true })
        expect((failure.cause as Error).message).to.equal(cause)
        await connection.closed()
        expect(connection.pending.toString()).not.to.match(/^0\r\n/m)
      })
    }

    for (const [title, { pieces, contentLength, cause, kind }] of Object.entries({
      'is shorter than announced': {
        pieces: ['ab'],
        contentLength: '3',
        cause: 'shorter',
        kind: 'unsendable',
      },
      'is longer than announced': {
        pieces: ['ab', 'cd'],
        contentLength: '3',
        cause: 'longer',
        kind: 'unsendable',
      },
      fails: {
        pieces: ['ab', new Error('broken')],
        contentLength: undefined,
        cause: 'broken',
        kind: 'reset',
      },
      'is destroyed': {
        pieces: ['ab', null],
        contentLength: undefined,
        cause: 'closed before its end',
        kind: 'reset',
      },
    })) {
      it(`cuts a request whose body ${title}`, async () => {
        const body = new Readable({ read() {} })
        const { got, connection } = await asked({ method: 'POST', body, contentLength })
        for (const piece of pieces) {
          if (typeof piece === 'string') body.push(piece)
          else body.destroy(piece ?? undefined)
          await turn()
        }
        if (cause === 'shorter') body.push(null)
        const failure = await got.failed()
        expect(failure).to.include({ kind, maybeHeard: true })
        expect((failure.cause as Error).message).to.contain(cause)
        await connection.closed()
        expect(connection.pending.toString()).not.to.contain('0\r\n\r\n')
      })
    }
  })
})

function throwing(): never {
  throw new Error('thrown')
}
