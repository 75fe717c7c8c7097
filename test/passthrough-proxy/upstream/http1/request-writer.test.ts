import { Readable } from 'node:stream'
import { expect } from 'chai'
import { lastChunkWith, requestHead, type UpstreamRequest } from '../../../support/http1/http1-client.js'

const plain: UpstreamRequest = {
  origin: 'http://a:1',
  method: 'GET',
  path: '/a?b',
  lines: [],
  body: null,
  contentLength: undefined,
  upgrade: undefined,
  headersTimeoutMs: 0,
  idleTimeoutMs: 0,
  maxQueue: 0,
}

function written(over: Partial<UpstreamRequest>): string[] {
  const { text } = requestHead({ ...plain, ...over }, 'a:1')
  expect(text.endsWith('\r\n\r\n')).to.equal(true)
  return text.slice(0, -4).split('\r\n')
}

const latin1 = String.fromCharCode(0xe9, 0xff)

const heads: Readonly<Record<string, readonly [Partial<UpstreamRequest>, readonly string[]]>> = {
  'a plain request': [{}, ['GET /a?b HTTP/1.1', 'host: a:1', 'connection: keep-alive']],
  'a Host of its own, in front': [
    { lines: ['A', 'b', 'hOst', 'c'] },
    ['GET /a?b HTTP/1.1', 'host: c', 'connection: keep-alive', 'A: b'],
  ],
  'latin1, and values that are empty': [
    { path: `/${latin1}`, lines: ['A', latin1, 'B', ''] },
    [`GET /${latin1} HTTP/1.1`, 'host: a:1', 'connection: keep-alive', `A: ${latin1}`, 'B: '],
  ],
  'a body in memory': [
    { method: 'DELETE', body: Buffer.from('ab'), contentLength: '2' },
    ['DELETE /a?b HTTP/1.1', 'host: a:1', 'connection: keep-alive', 'content-length: 2'],
  ],
  'the length of a body for which none is announced': [
    { body: Buffer.from('ab') },
    ['GET /a?b HTTP/1.1', 'host: a:1', 'connection: keep-alive', 'content-length: 2'],
  ],
  'a text, by its bytes': [
    { method: 'PUT', body: 'ü' },
    ['PUT /a?b HTTP/1.1', 'host: a:1', 'connection: keep-alive', 'content-length: 2'],
  ],
  'a stream of a length that no number holds': [
    { method: 'POST', body: Readable.from([]), contentLength: '18446744073709551615' },
    ['POST /a?b HTTP/1.1', 'host: a:1', 'connection: keep-alive', 'content-length: 18446744073709551615'],
  ],
  'a stream without a length': [
    { body: Readable.from([]) },
    ['GET /a?b HTTP/1.1', 'host: a:1', 'connection: keep-alive', 'transfer-encoding: chunked'],
  ],
  'a POST without a body': [
    { method: 'POST' },
    ['POST /a?b HTTP/1.1', 'host: a:1', 'connection: keep-alive', 'content-length: 0'],
  ],
  'an announced length of 0': [
    { contentLength: '0' },
    ['GET /a?b HTTP/1.1', 'host: a:1', 'connection: keep-alive', 'content-length: 0'],
  ],
  'an upgrade': [
    { upgrade: 'websocket', lines: ['A', 'b'] },
    ['GET /a?b HTTP/1.1', 'host: a:1', 'connection: upgrade', 'upgrade: websocket', 'A: b'],
  ],
  'Connection: close': [
    { lines: ['connection', 'Close'] },
    ['GET /a?b HTTP/1.1', 'host: a:1', 'connection: close'],
  ],
}

const unsendable: Readonly<Record<string, Partial<UpstreamRequest>>> = {
  'a method with a space': { method: 'GET /' },
  'no method': { method: '' },
  CONNECT: { method: 'CONNECT' },
  'no path': { path: '' },
  'a path with a space': { path: '/a b' },
  'a path with CR LF': { path: '/a\r\nb' },
  'a path with NUL': { path: '/\0' },
  'a path that is no latin1': { path: '/\u0100' },
  'a name with a space': { lines: ['A b', 'c'] },
  'a name with a colon': { lines: ['A:', 'c'] },
  'no name': { lines: ['', 'c'] },
  'a value with CR LF': { lines: ['A', 'b\r\nC: d'] },
  'a value with CR': { lines: ['A', 'b\r'] },
  'a value with LF': { lines: ['A', '\nb'] },
  'a value with NUL': { lines: ['A', 'b\0'] },
  'a value that is no latin1': { lines: ['A', '\u0100'] },
  'a length among the lines': { lines: ['Content-length', '5'] },
  'a coding among the lines': { lines: ['transfer-Encoding', 'chunked'] },
  'an upgrade among the lines': { lines: ['Upgrade', 'h2c'] },
  'Expect among the lines': { lines: ['Expect', '100-continue'] },
  'Keep-Alive among the lines': { lines: ['Keep-Alive', 'timeout=5'] },
  'two Hosts': { lines: ['Host', 'a', 'host', 'a'] },
  'another Connection': { lines: ['Connection', 'X-Foo'] },
  'a protocol with CR LF': { upgrade: 'a\r\nb: c' },
  'a body that is a number': { body: 5 as unknown as string },
  'a body that is an object': { body: {} as unknown as string },
  'a length that is none': { contentLength: '-1', body: Readable.from([]) },
  'a length that is not that of the body': { contentLength: '3', body: Buffer.from('ab') },
  'a length without a body': { contentLength: '3' },
}

describe('the request writer', () => {
  for (const [title, [request, lines]] of Object.entries(heads)) {
    it(`writes ${title}`, () => expect(written(request)).to.deep.equal(lines))
  }

  for (const [title, request] of Object.entries(unsendable)) {
    it(`refuses ${title}`, () => {
      expect(() => written(request))
        .to.throw(Error)
        .with.property('name', 'UnsendableRequest')
    })
  }

  it('recognises a login that belongs to the connection', () => {
    const logsIn = (value: string): boolean =>
      requestHead({ ...plain, lines: ['authorization', value] }, 'a').logsIn
    expect(['NTLM abc', 'negotiate abc', 'Negotiate'].map(logsIn)).to.deep.equal([true, true, true])
    expect(['Basic ntlm', 'Bearer negotiate', 'NTLMish a'].map(logsIn)).to.deep.equal([false, false, false])
  })

  it('writes trailers, except those that belong in the head (RFC 9110 §6.5.1)', () => {
    expect(lastChunkWith([])).to.equal('0\r\n\r\n')
    expect(lastChunkWith(['X-Sum', '1', 'Content-Length', '5', 'host', 'a', 'x-sum', '2'])).to.equal(
      '0\r\nX-Sum: 1\r\nx-sum: 2\r\n\r\n',
    )
    expect(() => lastChunkWith(['A', 'b\r\nc: d'])).to.throw('cannot be sent')
  })
})
