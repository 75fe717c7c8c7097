import { chunks, framings } from './framing-bodies.js'
import {
  CHUNKED,
  CHUNKED_HIDDEN,
  type FramingCase,
  HIDDEN,
  LENGTH,
  message,
  named,
} from './framing-message.js'

const methods = [
  'GET',
  'HEAD',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'CONNECT',
  'PRI',
  'M-SEARCH',
  'PUT',
  'PATCH',
  'get',
  'X',
  'QUERY',
  'G\0T',
]

const targets = [
  'http://b/outer',
  'https://b/outer',
  'HTTP://a/outer',
  'a:80',
  '*',
  '//b/outer',
  '/outer#part',
  '/ou ter',
  '/ou\tter',
  '/ou\0ter',
  '/outer\xff',
  '/%0d%0aX:%20y',
  '/%00',
  '/\\outer',
  '?outer',
  'outer',
  '/../outer',
  '/./outer',
  '/;a/outer',
  'http://',
  'http://a b/',
  `/${'o'.repeat(8000)}`,
  `/${'o'.repeat(20_000)}`,
  '/outer HTTP/1.1\r\nX: y',
  '/outer?a=\x80',
  '/a|b',
  '/[',
  '/outer?<>"',
]

const versions = [
  'HTTP/1.0',
  'HTTP/2.0',
  'HTTP/0.9',
  'HTTP/1.2',
  'HTTP/1.10',
  'HTTP/3.0',
  'http/1.1',
  'HTTP/1.1 ',
  'HTTP/ 1.1',
  '',
]

const starts = [
  ...methods.flatMap((method) =>
    [[LENGTH], [CHUNKED], []].map((lines) => ({ start: `${method} /outer HTTP/1.1`, lines })),
  ),
  ...targets.map((target) => ({ start: `POST ${target} HTTP/1.1`, lines: [LENGTH] })),
  ...versions.flatMap((version) =>
    [[LENGTH], [CHUNKED]].map((lines) => ({ start: `POST /outer ${version}`, lines })),
  ),
].map(({ start, lines }) => {
  const body = lines[0] === CHUNKED ? CHUNKED_HIDDEN : HIDDEN
  return named('start line', message({ start, lines, body: lines.length === 0 ? '' : body }))
})

function filler(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `X${index}: y`)
}

const heads = [
  ...[900, 998, 999, 1000, 1001, 1100].flatMap((count) => [
    [...filler(count), LENGTH],
    [...filler(count), CHUNKED],
  ]),
  ...[15_000, 17_000, 60_000].map((length) => [LENGTH, `X: ${'y'.repeat(length)}`]),
  ['Host: b', LENGTH],
  ['Host:', LENGTH],
  [': y', LENGTH],
  ['X', LENGTH],
  ['X y: z', LENGTH],
  ['X: y\r\n z', LENGTH],
  [`X: \0`, LENGTH],
  ['X: \x7f', LENGTH],
  ['X: \xff', LENGTH],
  ['X@: y', LENGTH],
  ['__proto__: y', LENGTH],
  ['', LENGTH],
].map((lines) => named('head', message({ lines, body: lines.includes(CHUNKED) ? CHUNKED_HIDDEN : HIDDEN })))

const protocols = ['websocket', 'h2c', 'foo', 'foo, h2c', 'H2C', 'TLS/1.0']

const upgrades = protocols.flatMap((protocol) => {
  const asks = ['Connection: Upgrade', `Upgrade: ${protocol}`]
  const many = [...asks, ...filler(1100)]
  return [
    named(`upgrade to ${protocol}`, message({ start: 'GET /outer HTTP/1.1', lines: asks }), 1),
    named(`upgrade to ${protocol}, length`, message({ lines: [...asks, LENGTH], body: HIDDEN }), 1),
    named(`upgrade to ${protocol}, chunks`, message({ lines: [...asks, CHUNKED], body: CHUNKED_HIDDEN }), 1),
    named(`upgrade to ${protocol}, length last`, message({ lines: [...many, LENGTH], body: HIDDEN }), 1),
    named(
      `upgrade to ${protocol}, chunks last`,
      message({ lines: [...many, CHUNKED], body: CHUNKED_HIDDEN }),
      1,
    ),
    named(`upgrade to ${protocol}, both`, message({ lines: [...asks, LENGTH, CHUNKED], body: HIDDEN }), 1),
  ]
})

const ends = ['\n', '\r', '\r\r\n', '\n\r', ' \r\n'].flatMap((endOfLine) =>
  [[LENGTH], [CHUNKED]].map((lines) => {
    const body = lines[0] === CHUNKED ? CHUNKED_HIDDEN : HIDDEN
    return named('ends of lines', message({ lines, body, endOfLine }))
  }),
)

/** All of them, in an order that stays the same. */
export const framingCases: readonly FramingCase[] = [
  ...framings,
  ...chunks,
  ...starts,
  ...heads,
  ...upgrades,
  ...ends,
]
