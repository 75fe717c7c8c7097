import {
  BODY,
  CHUNKED,
  type Common,
  entry,
  type HostileResponse,
  type Must,
  passes,
  POISON,
  response,
  shown,
} from './response-entry.js'

const common = { section: 'RFC 9112 §7.1', mustHead: passes({ body: '' }) }
const END = '0\r\n\r\n'
const CHUNK = `5\r\n${BODY}\r\n`

/** What stands in front of the data: digits, extensions and the end of the line. */
const goodSizes: readonly string[] = [
  '5\r\n',
  '05\r\n',
  '0000000005\r\n',
  '5;a\r\n',
  '5;a=b\r\n',
  '5;a="b;c"\r\n',
  '5;a=b;c;d="e"\r\n',
  '5;a="caf\xe9"\r\n',
]

const openSizes: readonly [size: string, must: Must][] = [
  ['5;\r\n', passes()],
  ['5;;\r\n', passes()],
  ['5;a="b\r\n', passes()],
  ['5;a=\tb\r\n', passes()],
  // White space in front of the semicolon may be, by the grammar; no server sends it, and Node refuses it too.
  ['5 ;a\r\n', 'breaks'],
  ['5\t;a\r\n', 'breaks'],
  [`${'0'.repeat(3000)}5\r\n`, 'breaks'],
  [`5;${'x'.repeat(100_000)}\r\n`, 'breaks'],
]

const badSizes: readonly string[] = [
  '\r\n',
  ';a\r\n',
  ' 5\r\n',
  '\t5\r\n',
  '+5\r\n',
  '-5\r\n',
  '0x5\r\n',
  '5h\r\n',
  'g\r\n',
  '5_0\r\n',
  '5.0\r\n',
  '5,5\r\n',
  '"5"\r\n',
  '5 \r\n',
  '5 5\r\n',
  '5\0\r\n',
  '5\x0b\r\n',
  '\xb2\r\n',
  '5\n',
  '5\r',
  '5\r\r\n',
  '5\n\r',
  '5\r\n\r\n',
  '5;a\n',
  '5;a\r',
  '5;a\r\r\n',
  '5;\0\r\n',
  '5;\x7f\r\n',
  '5;\x0b\r\n',
  '5;a="\r\n"\r\n',
  '5;a\nInjected: yes\r\n',
  'fffffffffffffffff\r\n',
  '10000000000000005\r\n',
]

/** Sizes that may be, of chunks that the connection ends within. */
const hugeSizes: readonly string[] = [
  '6\r\n',
  'ffffffff\r\n',
  '100000005\r\n',
  '1fffffffffffff\r\n',
  '20000000000005\r\n',
  '7fffffffffffffff\r\n',
  'ffffffffffffffff\r\n',
]

/** What stands behind the data of a chunk in place of CR LF. */
const badDataEnds: readonly string[] = [
  '',
  '\n',
  '\r',
  '\r\r\n',
  '\n\r',
  'X\r\n',
  ' \r\n',
  '\0\r\n',
  '\r\n\r\n',
  `\r\n${POISON}`,
]

const goodEnds: readonly [end: string, ...trailers: string[]][] = [
  [END],
  ['00000\r\n\r\n'],
  ['0;a=b\r\n\r\n'],
  ['0\r\nX: y\r\n\r\n', 'X: y'],
  ['0\r\nX: caf\xe9 \t\r\nx:z\r\n\r\n', 'X: caf\xe9', 'x: z'],
  ['0\r\n__proto__: y\r\n\r\n', '__proto__: y'],
  ...[
    'Content-Length: 9',
    CHUNKED,
    'Host: a',
    'Set-Cookie: a=b',
    'Connection: close',
    'Trailer: X',
    'TE: trailers',
    'Keep-Alive: timeout=1',
    'Upgrade: h2c',
  ].map((line): [string] => [`0\r\n${line}\r\n\r\n`]),
  ['0\r\nX-Hop: y\r\nConnection: x-hop\r\n\r\n'],
]

const badEnds: readonly string[] = [
  '0\n\n',
  '0\r\n\n',
  '0\r\r\n\r\n',
  '0\r\n\r\r\n',
  '0\r\n\rX\r\n\r\n',
  '-0\r\n\r\n',
  '0 \r\n\r\n',
  '0x0\r\n\r\n',
  '0\r\n X: y\r\n\r\n',
  '0\r\nX\r\n\r\n',
  '0\r\n: y\r\n\r\n',
  '0\r\nX : y\r\n\r\n',
  '0\r\nX\0: y\r\n\r\n',
  '0\r\nX: \0\r\n\r\n',
  '0\r\nX: a\x7fb\r\n\r\n',
  '0\r\nX: y\rInjected: yes\r\n\r\n',
  '0\r\nX: y\r\r\nInjected: yes\r\n\r\n',
  '0\r\n\r\rInjected: yes\r\n\r\n',
  `0\r\n${POISON}`,
]

const openEnds: readonly string[] = [
  '0\r\nX: y\r\n z\r\n\r\n',
  '0\r\nX: y\nInjected: yes\r\n\r\n',
  `0\r\nX: ${'y'.repeat(200_000)}\r\n\r\n`,
  `0\r\n${'X: y\r\n'.repeat(40_000)}\r\n`,
]

function chunked(table: Common, name: string, body: string, must?: Must, ends = false): HostileResponse {
  return entry(table, shown(name), {
    steps: [{ write: response({ lines: [CHUNKED], body }) }, ...(ends ? (['end'] as const) : [])],
    ...(must && { must }),
  })
}

const size = { ...common, table: 'chunk size' }
const dataEnd = { ...common, table: 'end of chunk data' }
const lastChunk = { ...common, table: 'last chunk', section: 'RFC 9112 §7.1.2, RFC 9110 §6.5' }

export const chunks: readonly HostileResponse[] = [
  ...goodSizes.map((text) => chunked({ ...size, verdict: 'valid' }, text, `${text}${BODY}\r\n${END}`)),
  ...openSizes.map(([text, must]) =>
    chunked({ ...size, verdict: 'open' }, text, `${text}${BODY}\r\n${END}`, must),
  ),
  ...badSizes.map((text) =>
    chunked({ ...size, verdict: 'invalid' }, text, `${text}${BODY}\r\n${END}`, 'breaks'),
  ),
  ...badSizes.map((text) =>
    chunked(
      { ...size, table: 'second chunk size', verdict: 'invalid' },
      text,
      `${CHUNK}${text}${BODY}\r\n${END}`,
      'breaks',
    ),
  ),
  ...hugeSizes.map((text) =>
    chunked({ ...size, verdict: 'open' }, `${text} and the end`, `${text}${BODY}`, 'breaks', true),
  ),
  ...badDataEnds.map((text) =>
    chunked({ ...dataEnd, verdict: 'invalid' }, text, `5\r\n${BODY}${text}${END}`, 'breaks'),
  ),
  ...goodEnds.map(([text, ...trailers]) =>
    chunked({ ...lastChunk, verdict: 'valid' }, text, CHUNK + text, passes({ trailers })),
  ),
  ...badEnds.map((text) => chunked({ ...lastChunk, verdict: 'invalid' }, text, CHUNK + text, 'breaks')),
  ...openEnds.map((text) => chunked({ ...lastChunk, verdict: 'open' }, text, CHUNK + text, 'breaks')),
]
