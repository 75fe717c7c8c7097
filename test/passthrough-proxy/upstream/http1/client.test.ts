import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { expect } from 'chai'
import type { RawClient } from '../../../support/clients/raw-client.js'
import { createClient, type Upstream } from '../../../support/http1/http1-client.js'
import { ask, RecordingReceiver } from '../../../support/http1/upstream-receiver.js'
import { answer, type ScriptedUpstream } from '../../../support/servers/scripted-upstream.js'
import { giveEach, askServer, type Arrived, type AskedRequest, settings, turn } from './asked.js'

describe("the proxy's own client", () => {
  let server: ScriptedUpstream
  let upstream: Upstream
  let origin: string

  giveEach(settings, (given) => ({ server, origin, upstream } = given))

  const asked = (request?: AskedRequest, connection?: RawClient): Promise<Arrived> =>
    askServer(upstream, server, { origin, ...request }, connection)

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
      [{ method: 'PUT', body: Readable.from(['a']) }, 'HTTP/1.1 404 Not\r\nContent-Length: 0\r\n\r\n'],
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
      receiver.sending?.resume()
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

  it('closes the connections whose extra bytes come just behind their answers, even if two end in one turn', async () => {
    const both = [await asked(), await asked()]
    const third = ask(upstream, { origin, path: '/third' })
    for (const { got, connection } of both) {
      got.onEvent = (name) => name === 'end' && connection.write(answer('poison'))
    }
    for (const { connection } of both) connection.write(answer())
    const next = await server.connection()
    await next.untilText('GET /third ')
    next.write(answer('third'))
    expect((await third.ended()).body).to.equal('third')
  })

  it('closes the connection even if the extra byte comes only with the next read', async () => {
    const client = createClient({ ...settings, maxConnections: 1 })
    const first = ask(client, { origin })
    const second = ask(client, { origin, path: '/second' })
    const connection = await server.connection()
    await connection.untilText('\r\n\r\n')
    // As much as a new connection reads at once, so that the response ends where the memory does.
    const head = 'HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n'
    const filler = `A: ${'a'.repeat(4096 - 4000 - head.length - 7)}\r\n\r\n`
    connection.write(head + filler + 'b'.repeat(4000) + answer('poison'))
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

  it('notices such a reset even if a tracer has read the address of the server, which Node then remembers', async () => {
    const readAddress = (message: unknown): void => {
      const { socket } = message as { socket: Socket }
      socket.once('connect', () => void socket.remoteAddress)
    }
    subscribe('net.client.socket', readAddress)
    try {
      const { got, connection } = await asked()
      connection.write('HTTP/1.1 200 OK\r\n\r\nnot all')
      connection.socket.resetAndDestroy()
      expect(await got.failed()).to.include({ kind: 'reset', maybeHeard: true })
    } finally {
      unsubscribe('net.client.socket', readAddress)
    }
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

  it('fails if other code destroys its connection', async () => {
    const opened = new Promise<Socket>((resolve) => {
      const see = (message: unknown): void => {
        unsubscribe('net.client.socket', see)
        resolve((message as { socket: Socket }).socket)
      }
      subscribe('net.client.socket', see)
    })
    const { got } = await asked()
    ;(await opened).destroy()
    expect(await got.failed()).to.include({ kind: 'reset', maybeHeard: true })
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
})
