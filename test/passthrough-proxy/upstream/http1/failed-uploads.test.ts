import { once } from 'node:events'
import { PassThrough, Readable } from 'node:stream'
import { expect } from 'chai'
import type { RawClient } from '../../../support/clients/raw-client.js'
import type { Upstream } from '../../../support/http1/http1-client.js'
import type { ScriptedUpstream } from '../../../support/servers/scripted-upstream.js'
import { giveEach, askServer, type Arrived, type AskedRequest, settings, turn } from './asked.js'

describe("the proxy's own client, with uploads that fail", () => {
  let server: ScriptedUpstream
  let upstream: Upstream
  let origin: string

  giveEach(settings, (given) => ({ server, origin, upstream } = given))

  const asked = (request?: AskedRequest, connection?: RawClient): Promise<Arrived> =>
    askServer(upstream, server, { origin, ...request }, connection)

  for (const [title, framing] of [
    ['in chunks', {}],
    ['with a length', { contentLength: '9' }],
  ] as const) {
    it(`fails if its server breaks off as several pieces of a body come at once, ${title}`, async () => {
      const body = new PassThrough()
      const { got, connection } = await asked({ method: 'POST', body, ...framing })
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na')
      await got.until('body')
      connection.socket.resetAndDestroy()
      for (const piece of ['abc', 'def', 'ghi']) body.write(piece)
      expect(await got.failed()).to.include({ kind: 'reset' })
      body.destroy()
    })
  }

  it('discards the rest of a body whose server has gone while the answer is not read', async () => {
    const body = new PassThrough()
    const { got, connection } = await asked({ method: 'POST', body })
    connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na')
    await got.until('body')
    got.sending?.pause()
    connection.socket.resetAndDestroy()
    body.end(Buffer.alloc(1_000_000))
    await once(body, 'end')
    got.sending?.resume()
    expect(await got.failed()).to.include({ kind: 'reset' })
  })

  it('delivers an answer although a body fails of which its server, which has gone, wants no more', async () => {
    const body = new PassThrough()
    const { got, connection } = await asked({ method: 'POST', body })
    connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na')
    await got.until('body')
    got.sending?.pause()
    connection.write('b')
    connection.socket.resetAndDestroy()
    body.write('abc')
    await turn()
    body.destroy(new Error('too large'))
    await turn()
    got.sending?.resume()
    await got.ended()
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

function throwing(): never {
  throw new Error('thrown')
}
