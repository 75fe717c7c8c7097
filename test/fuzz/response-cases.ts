import * as fc from 'fast-check'
import { type Cuts, cuts } from './wire.js'

const statusLine = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom('HTTP/1.1 200 OK', 'HTTP/1.1 404 Not Found', 'HTTP/1.0 200 OK') },
  fc.constantFrom(
    'HTTP/1.1 200',
    'HTTP/1.1 200 ',
    'HTTP/1.1 204 No Content',
    'HTTP/1.1 304 Not Modified',
    'HTTP/1.1 999 a  b ',
    'HTTP/1.1 099 Low',
    'HTTP/1.1 2000 Long',
    'HTTP/1.1 200OK',
    'HTTP/1.2 200 OK',
    'HTTP/2.0 200 OK',
    'HTTP/0.9 200 OK',
    'http/1.1 200 OK',
    'HTTP/1.1  200 OK',
    '\r\nHTTP/1.1 200 OK',
  ),
)

const plainLine = fc.constantFrom(
  'A: b',
  'a:b',
  'A:',
  'X-Y_z.1: \t c d \t',
  'Set-Cookie: a=b; c',
  'Connection: close',
  'Connection: keep-alive',
  'Keep-Alive: timeout=5',
  'D: \u00e9\u00ff',
  'Upgrade: websocket',
)

const hostileLine = fc.constantFrom(
  'A : b',
  ' A: b',
  'A',
  ': b',
  'A: b\r\n c',
  'A: b\rc',
  'A: b\nC: d',
  'A: b\0',
  'A: b\x7f',
  'A(: b',
  '\u00e9: b',
  '',
)

const framing = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('Content-Length: 5', 'Transfer-Encoding: chunked', 'A: none') },
  fc.constantFrom(
    'Content-Length: 0',
    'content-length:5 ',
    'Content-Length: 5\t',
    'Content-Length: 05',
    'Content-Length: +5',
    'Content-Length: 5, 5',
    'Content-Length: 5\r\nContent-Length: 5',
    'Content-Length: 5\r\nContent-Length: 6',
    'Content-Length: 18446744073709551616',
    'Content-Length:',
    'Content-Length: 5\r\nTransfer-Encoding: chunked',
    'Transfer-Encoding: chunked\r\nContent-Length: 5',
    'Transfer-Encoding: CHUNKED',
    'Transfer-Encoding: gzip, chunked',
    'Transfer-Encoding: identity',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked',
    'Transfer-Encoding: chunked, ',
  ),
)

const chunk = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.constantFrom('5\r\nhello\r\n', '1\r\na\r\n', 'A\r\n0123456789\r\n', '02\r\n\r\n\r\n'),
  },
  fc.constantFrom(
    '5;a=b\r\nhello\r\n',
    '5;a="b;c"\r\nhello\r\n',
    '5;;\r\nhello\r\n',
    '5 \r\nhello\r\n',
    '5\nhello\r\n',
    '5\r\nhello\n',
    '5\r\nhelloo\r\n',
    '0x5\r\nhello\r\n',
    '\r\n',
    'ffffffffffffffff\r\n',
    '000000000000000005\r\nhello\r\n',
  ),
)

const trailer = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('X-Sum: 1\r\n', '', 'b:c\r\n') },
  fc.constantFrom('A : b\r\n', 'A\r\n', 'A: b\n', ' A: b\r\n', 'A: b\r\n c\r\n'),
)

const body = fc.oneof(
  fc.constantFrom('hello', '', 'hell'),
  fc
    .tuple(fc.array(chunk, { maxLength: 3 }), trailer)
    .map(([chunks, last]) => `${chunks.join('')}0\r\n${last}\r\n`),
)

const interim = fc.oneof(
  { weight: 4, arbitrary: fc.constant('') },
  fc.constantFrom(
    'HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n',
    'HTTP/1.1 100 Continue\r\n\r\n',
    'HTTP/1.1 102 P\r\nContent-Length: 5\r\n\r\n',
  ),
)

/** A text put at some place of it, in place of some characters. */
interface Mutation {
  readonly at: number
  readonly gone: number
  readonly put: string
}

const mutation: fc.Arbitrary<Mutation> = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  gone: fc.nat(2),
  put: fc.constantFrom(
    '',
    '\r',
    '\n',
    '\r\n',
    '\0',
    ' ',
    '\t',
    ':',
    ';',
    ',',
    '0',
    '5',
    'a',
    'HTTP/1.1',
    '\u00ff',
    '"',
  ),
})

/** A response, perhaps damaged, and how it is cut into pieces. */
export interface Case {
  readonly method: string
  readonly raw: string
  readonly pieces: Cuts
}

export const responseCases: fc.Arbitrary<Case> = fc.record({
  method: fc.constantFrom('GET', 'GET', 'POST', 'HEAD'),
  raw: fc
    .record({
      interim,
      start: statusLine,
      lines: fc.array(fc.oneof({ weight: 12, arbitrary: plainLine }, hostileLine), { maxLength: 3 }),
      framing,
      body,
      mutations: fc.oneof(
        { weight: 2, arbitrary: fc.constant<Mutation[]>([]) },
        fc.array(mutation, { minLength: 1, maxLength: 2 }),
      ),
    })
    .map((made) => {
      const head = [made.start, ...made.lines, made.framing].join('\r\n')
      return made.mutations.reduce<string>(mutated, `${made.interim}${head}\r\n\r\n${made.body}`)
    }),
  pieces: cuts,
})

function mutated(raw: string, { at, gone, put }: Mutation): string {
  const place = Math.floor(at * raw.length)
  return raw.slice(0, place) + put + raw.slice(place + gone)
}
