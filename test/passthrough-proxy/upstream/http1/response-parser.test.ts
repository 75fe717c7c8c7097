import { expect } from 'chai'
import {
  type ParsedResponse,
  type ParseOptions,
  parsed,
  splits,
} from '../../../support/http1/parsed-response.js'

interface Case extends ParseOptions {
  readonly title: string
  readonly raw: string
  readonly expected: Partial<ParsedResponse>
}

const OK = 'HTTP/1.1 200 OK\r\n'
const latin1 = String.fromCharCode(0xa0, 0xe9, 0xff)

const whole: readonly Case[] = [
  {
    title: 'a length',
    raw: `${OK}Content-Length: 5\r\nX: y\r\n\r\nhello`,
    expected: {
      status: 200,
      reason: 'OK',
      lines: ['Content-Length', '5', 'X', 'y'],
      body: 'hello',
      trailers: [],
    },
  },
  {
    title: 'chunks, an extension and trailers',
    raw: `${OK}transfer-encoding: Chunked\r\n\r\n3;a="b;c"\r\nhel\r\n02\r\nlo\r\n0\r\nX-Sum: 1\r\nx-sum:2\r\n\r\n`,
    expected: { body: 'hello', trailers: ['X-Sum', '1', 'x-sum', '2'], isKept: true },
  },
  {
    title: 'no chunk with data',
    raw: `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    expected: { body: '', trailers: [] },
  },
  {
    title: 'the end of the connection',
    raw: 'HTTP/1.0 200 OK\r\n\r\nto the end',
    ends: true,
    expected: { body: 'to the end', isKept: false, trailers: [] },
  },
  {
    title: 'case, order and duplicates of lines',
    raw: `${OK}b: 1\r\nA: 2\r\nSet-Cookie: a=b\r\nB: 3\r\nset-cookie: c=d\r\nContent-Length: 0\r\n\r\n`,
    expected: {
      lines: ['b', '1', 'A', '2', 'Set-Cookie', 'a=b', 'B', '3', 'set-cookie', 'c=d', 'Content-Length', '0'],
    },
  },
  {
    title: 'white space around values, but only spaces and tabs',
    raw: `${OK}A:\t b c \t\r\nB:\r\nC: ${latin1}\r\nContent-Length:\t0\t\r\n\r\n`,
    expected: { lines: ['A', 'b c', 'B', '', 'C', latin1, 'Content-Length', '0'] },
  },
  {
    title: 'a reason with spaces and latin1',
    raw: `HTTP/1.1 404 Not ${latin1} Found \r\nContent-Length: 0\r\n\r\n`,
    expected: { status: 404, reason: `Not ${latin1} Found ` },
  },
  {
    title: 'no reason',
    raw: 'HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n',
    expected: { status: 200, reason: '' },
  },
  { title: 'an empty reason', raw: 'HTTP/1.1 999 \r\nContent-Length: 0\r\n\r\n', expected: { status: 999 } },
  {
    title: 'interim responses',
    raw: `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: close\r\n\r\nHTTP/1.1 100 \r\n\r\n${OK}Content-Length: 1\r\n\r\nx`,
    expected: {
      information: [
        { status: 103, lines: ['Link', '</a>', 'Connection', 'close'] },
        { status: 100, lines: [] },
      ],
      body: 'x',
      isKept: true,
    },
  },
  {
    title: 'HEAD with a length',
    method: 'HEAD',
    raw: `${OK}Content-Length: 500\r\n\r\n`,
    expected: { lines: ['Content-Length', '500'], trailers: [], isKept: true },
  },
  {
    title: 'HEAD with chunks',
    method: 'HEAD',
    raw: `${OK}Transfer-Encoding: chunked\r\n\r\n`,
    expected: { trailers: [], isKept: true },
  },
  {
    title: '304 with a length',
    raw: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n',
    expected: { status: 304, trailers: [], isKept: true },
  },
  {
    title: '204',
    raw: 'HTTP/1.1 204 No Content\r\n\r\n',
    expected: { status: 204, trailers: [], isKept: true },
  },
  {
    title: '205 with a length of 0',
    raw: 'HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\n',
    expected: { status: 205, body: '' },
  },
  {
    title: 'a length of 64 bits',
    method: 'HEAD',
    raw: `${OK}Content-Length: 18446744073709551615\r\n\r\n`,
    expected: { lines: ['Content-Length', '18446744073709551615'] },
  },
  {
    title: 'a length with zeros in front',
    raw: `${OK}Content-Length: 00000000000000000000000003\r\n\r\nabc`,
    expected: { body: 'abc', lines: ['Content-Length', '00000000000000000000000003'] },
  },
  {
    title: 'the protocol that was asked for',
    upgrade: 'WebSocket',
    raw: 'HTTP/1.1 101 Switching\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n',
    expected: { upgraded: ['Connection', 'keep-alive, Upgrade', 'Upgrade', 'websocket'], isOver: true },
  },
  {
    title: 'an answer other than 101 to a request for an upgrade',
    upgrade: 'websocket',
    raw: 'HTTP/1.1 401 No\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\nx',
    expected: { status: 401, body: 'x', isKept: true },
  },
]

const kept: readonly [string, boolean, (number | undefined)?][] = [
  ['HTTP/1.1 200 OK\r\n', true],
  ['HTTP/1.1 200 OK\r\nConnection: close\r\n', false],
  ['HTTP/1.1 200 OK\r\nConnection: keep-alive, CLOSE\r\n', false],
  ['HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nConnection: close\r\n', false],
  ['HTTP/1.1 200 OK\r\nConnection: close-not\r\n', true],
  ['HTTP/1.0 200 OK\r\n', false],
  ['HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n', true],
  ['HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\n', true, 5],
  ['HTTP/1.1 200 OK\r\nKeep-Alive: max=3, timeout=65\r\n', true, 65],
  ['HTTP/1.1 200 OK\r\nKeep-Alive: mytimeout=65\r\n', true, undefined],
  ['HTTP/1.1 200 OK\r\nKeep-Alive: close\r\n', true, undefined],
  ['HTTP/1.1 200 OK\r\nConnection: timeout=65\r\n', true, undefined],
  // Names as long as those that matter.
  ['HTTP/1.1 200 OK\r\nSet-Cookie: close\r\n', true, undefined],
  ['HTTP/1.1 200 OK\r\nSet-Cookie: timeout=65\r\n', true, undefined],
  ['HTTP/1.1 200 OK\r\nX-Request-Uuid: 1\r\n', true, undefined],
  ['HTTP/1.1 200 OK\r\nCross-Origin-Type: 1\r\n', true, undefined],
]

/** By title: a response that the parser refuses. */
const malformed: Readonly<Record<string, string | readonly [raw: string, options: ParseOptions]>> = {
  'another protocol': 'SSH-2.0-OpenSSH_9\r\n',
  'another protocol that ends with nothing': 'RTSP',
  'an empty line in front': `\r\n${OK}Content-Length: 0\r\n\r\n`,
  'HTTP/0.9': 'HTTP/0.9 200 OK\r\n\r\n',
  'HTTP/1.2': 'HTTP/1.2 200 OK\r\n\r\n',
  'HTTP/2.0': 'HTTP/2.0 200 OK\r\n\r\n',
  'a lower-case name': 'http/1.1 200 OK\r\n\r\n',
  'two spaces': 'HTTP/1.1  200 OK\r\n\r\n',
  'a tab': 'HTTP/1.1\t200 OK\r\n\r\n',
  'a status of two digits': 'HTTP/1.1 20 OK\r\n\r\n',
  'a status of four digits': 'HTTP/1.1 2000 OK\r\n\r\n',
  'a status of 001': 'HTTP/1.1 001 OK\r\n\r\n',
  'a status of 099': 'HTTP/1.1 099 OK\r\n\r\n',
  'a status that runs into its reason': 'HTTP/1.1 200OK\r\n\r\n',
  'a NUL in the reason': 'HTTP/1.1 200 O\0K\r\n\r\n',
  'a CR in the reason': 'HTTP/1.1 200 O\rK\r\n\r\n',
  'LF for an end of line': 'HTTP/1.1 200 OK\n\n',
  'LF after a line': `${OK}A: b\n\r\n`,
  'CR for an end of line': 'HTTP/1.1 200 OK\rA: b\r\n\r\n',
  'CR CR LF': `${OK}A: b\r\r\n\r\n`,
  'CR CR in front of a line': `${OK}\r\rSet-Cookie: a=b\r\n\r\n`,
  'a space in front of the colon': `${OK}A : b\r\n\r\n`,
  'a space in front of the first line': `${OK} A: b\r\n\r\n`,
  'a folded line': `${OK}A: b\r\n c\r\n\r\n`,
  'a line without a colon': `${OK}A\r\n\r\n`,
  'a line without a colon in front of another': `${OK}A\r\nB: c\r\n\r\n`,
  'a line without a name': `${OK}: b\r\n\r\n`,
  'a name that is no token': `${OK}A(b): c\r\n\r\n`,
  'a name that is no ASCII': `${OK}${latin1}: c\r\n\r\n`,
  'a NUL in a value': `${OK}A: b\0c\r\n\r\n`,
  'a DEL in a value': `${OK}A: b\x7fc\r\n\r\n`,
  'a vertical tab in a value': `${OK}A: b\vc\r\n\r\n`,
  'a CR in a value': `${OK}A: b\rc\r\n\r\n`,
  'length and chunks': `${OK}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n`,
  'chunks and length': `${OK}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n`,
  'length and chunks for HEAD': [
    `${OK}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n`,
    { method: 'HEAD' },
  ],
  'two lengths': `${OK}Content-Length: 5\r\nContent-Length: 6\r\n\r\n`,
  'the same length twice': `${OK}Content-Length: 5\r\ncontent-length: 5\r\n\r\n`,
  'a list of lengths': `${OK}Content-Length: 5, 5\r\n\r\n`,
  'an empty length': `${OK}Content-Length: \r\n\r\n`,
  'a negative length': `${OK}Content-Length: -5\r\n\r\n`,
  'a length with a plus': `${OK}Content-Length: +5\r\n\r\n`,
  'a hexadecimal length': `${OK}Content-Length: 0x5\r\n\r\n`,
  'a length with a fraction': `${OK}Content-Length: 5.0\r\n\r\n`,
  'a length of 2^64': `${OK}Content-Length: 18446744073709551616\r\n\r\n`,
  'a length of 400 digits': `${OK}Content-Length: ${'9'.repeat(400)}\r\n\r\n`,
  'Transfer-Encoding: identity': `${OK}Transfer-Encoding: identity\r\n\r\n`,
  'Transfer-Encoding: gzip, chunked': `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n`,
  'Transfer-Encoding: xchunked': `${OK}Transfer-Encoding: xchunked\r\n\r\n`,
  'Transfer-Encoding: chunked;a': `${OK}Transfer-Encoding: chunked;a\r\n\r\n`,
  'chunked twice': `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`,
  'chunks in HTTP/1.0': 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
  'an unsolicited 101': 'HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
  'a 101 for another protocol': [
    'HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n',
    { upgrade: 'websocket' },
  ],
  'a 101 for two protocols': [
    'HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n\r\n',
    { upgrade: 'websocket' },
  ],
  'a 101 without Upgrade': ['HTTP/1.1 101 S\r\nConnection: upgrade\r\n\r\n', { upgrade: 'websocket' }],
  'a 101 without Connection': ['HTTP/1.1 101 S\r\nUpgrade: websocket\r\n\r\n', { upgrade: 'websocket' }],
  'a head that is too long': [`${OK}A: ${'b'.repeat(1000)}\r\n\r\n`, { maxHeadBytes: 1000 }],
  'a line that never ends': [`${OK}A: ${'b'.repeat(1000)}`, { maxHeadBytes: 1000 }],
  'a head of white space': `${OK}A: ${' '.repeat(60_000)}\0\r\n\r\n`,
}

describe('the response parser', () => {
  for (const { title, raw, expected, ...options } of whole) {
    it(`reads ${title}, wherever it is cut`, () => {
      for (const pieces of splits(raw)) {
        expect(parsed(pieces, options), JSON.stringify(pieces)).to.deep.include({
          left: 0,
          isOver: true,
          ...expected,
        })
      }
    })
  }

  for (const [start, isKept, hint] of kept) {
    it(`${isKept ? 'keeps' : 'ends'} the connection after ${JSON.stringify(start)}`, () => {
      expect(parsed([`${start}Content-Length: 0\r\n\r\n`])).to.deep.include({ isKept, hint })
    })
  }

  for (const [title, given] of Object.entries(malformed)) {
    it(`refuses ${title}, wherever it is cut`, () => {
      const [raw, options] = typeof given === 'string' ? [given, {}] : given
      const all = raw.length > 10_000 ? [[raw], raw.split('')] : splits(raw)
      for (const pieces of all) {
        expect(() => parsed(pieces, options), JSON.stringify(pieces))
          .to.throw(Error)
          .with.property('name', 'MalformedResponse')
      }
    })
  }

  it('refuses a head above maxHeadBytes, and accepts one of exactly that size', () => {
    const head = `${OK}A: ${'b'.repeat(100)}\r\n\r\n`
    expect(() => parsed([head], { maxHeadBytes: 100 })).to.throw('the headers of the upstream are too large')
    expect(parsed([head], { maxHeadBytes: head.length })).to.include({ status: 200 })
  })

  it('leaves the bytes after a response', () => {
    expect(parsed([`${OK}Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n`])).to.include({
      body: 'ok',
      left: 17,
    })
    expect(parsed([`${OK}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nx`])).to.include({ left: 1 })
    expect(parsed(['HTTP/1.1 204 No\r\n\r\nx'])).to.include({ left: 1, isOver: true })
    const upgrade = 'HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\nearly'
    expect(parsed([upgrade], { upgrade: 'a' })).to.include({ left: 5 })
  })

  it('is not over before its end', () => {
    const raw = `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n\r\n`
    for (let at = 0; at < raw.length; at++) {
      const response = parsed([raw.slice(0, at)], { ends: true })
      expect(response.isOver, String(at)).to.equal(false)
      expect(response.trailers).to.equal(undefined)
    }
  })
})
