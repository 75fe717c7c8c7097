import { once } from 'node:events'
import { PassThrough, Readable } from 'node:stream'
import { expect } from 'chai'
import type { RawClient } from '../../../support/clients/raw-client.js'
import type { Upstream } from '../../../support/http1/http1-client.js'
import { ask } from '../../../support/http1/upstream-receiver.js'
import { answer, type ScriptedUpstream } from '../../../support/servers/scripted-upstream.js'
import { giveEach, askServer, type Arrived, type AskedRequest, settings, turn } from './asked.js'

describe("the proxy's own client, with uploads", () => {
  let server: ScriptedUpstream
  let upstream: Upstream
  let origin: string

  giveEach(settings, (given) => ({ server, origin, upstream } = given))

  const asked = (request?: AskedRequest, connection?: RawClient): Promise<Arrived> =>
    askServer(upstream, server, { origin, ...request }, connection)

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
    for (const length of [200_000, 3_000_000]) {
      const body = Buffer.alloc(length, 'a')
      const { got, connection, head } = await asked({
        method: 'POST',
        body,
        lines: ['Connection', 'close'],
      })
      expect(head).to.contain(`\r\ncontent-length: ${length}\r\n`)
      expect((await connection.bytes(length)).equals(body)).to.equal(true)
      connection.write(answer())
      await got.ended()
    }
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
    got.attempt.abandon()
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

  it('sends the next request over another connection if an answer comes before the end of its upload', async () => {
    for (const status of ['200 OK', '413 Too']) {
      const body = new PassThrough()
      const { got, connection } = await asked({ method: 'POST', body })
      body.write('abc')
      await connection.untilText('abc\r\n')
      connection.write(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\n\r\n`)
      await got.ended()
      await turn()
      const next = await asked({ lines: ['Connection', 'close'] })
      next.connection.write(answer())
      await next.got.ended()
      await connection.closed()
      expect(connection.pending.toString()).to.equal('')
    }
  })

  it('sends the next request over another connection if a server answers without having read a text', async () => {
    const first = await asked({ method: 'POST', body: 'a'.repeat(30_000_000) })
    first.connection.socket.pause()
    first.connection.write(answer())
    await first.got.ended()
    await turn()
    const next = await asked()
    next.connection.write(answer())
    await next.got.ended()
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
      connection.socket.write('HTTP/1.1 413 Too\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno', () => {
        connection.destroy()
      })
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
})
