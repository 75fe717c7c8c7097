import {
  type Common,
  entry,
  type HostileResponse,
  LENGTH,
  passes,
  type Passes,
  response,
  shown,
} from './response-entry.js'

const startLines: Common = { table: 'status line', section: 'RFC 9112 §4', verdict: 'valid' }

/** Status lines that must be taken, and what the client gets of each. */
const goodStarts: readonly [start: string, sees: Partial<Passes>][] = [
  ['HTTP/1.1 200 OK', { reason: 'OK' }],
  ['HTTP/1.0 200 OK', { reason: 'OK' }],
  ['HTTP/1.1 200 ', {}],
  ['HTTP/1.1 200 Two  words ', {}],
  ['HTTP/1.1 200 tab\tinside', { reason: 'tab\tinside' }],
  ['HTTP/1.1 200 caf\xe9 \xa0\xff', { reason: 'caf\xe9 \xa0\xff' }],
  ['HTTP/1.1 200 HTTP/1.1 302 Found', { reason: 'HTTP/1.1 302 Found' }],
  ['HTTP/1.1 200  two spaces', {}],
  ['HTTP/1.1 299 Unknown', { status: 299 }],
  ['HTTP/1.1 404 Not Found', { status: 404, reason: 'Not Found' }],
  ['HTTP/1.1 599 Unknown', { status: 599 }],
]

const badStarts: readonly string[] = [
  'HTTP/1.1',
  'HTTP/1.1 ',
  'HTTP/1.1 20',
  'HTTP/1.1 2',
  'HTTP/1.1 2000 OK',
  'HTTP/1.1 +20 OK',
  'HTTP/1.1 -20 OK',
  'HTTP/1.1 2e2 OK',
  'HTTP/1.1 0x1 OK',
  'HTTP/1.1 2OO OK',
  'HTTP/1.1 200OK',
  'HTTP/1.1 200, OK',
  'HTTP/1.1  200 OK',
  'HTTP/1.1\t200 OK',
  'HTTP/1.1200 OK',
  'HTTP/1.10 200 OK',
  'HTTP/1.1.1 200 OK',
  'HTTP/11 200 OK',
  'HTTP/1 200 OK',
  'HTTP/1.2 200 OK',
  'HTTP/2 200 OK',
  'HTTP/3.0 200 OK',
  'HTTP/-1.1 200 OK',
  'HTTP /1.1 200 OK',
  'http/1.1 200 OK',
  'HTTPS/1.1 200 OK',
  'ICY 200 OK',
  'RTSP/1.0 200 OK',
  'SSH-2.0-OpenSSH_9.6',
  '220 mail.test ESMTP',
  'GET /hidden HTTP/1.1',
  '200 OK',
  '<html>no head at all</html>',
  'Content-Type: text/html',
  '\0HTTP/1.1 200 OK',
  ' HTTP/1.1 200 OK',
  '\tHTTP/1.1 200 OK',
  '\xef\xbb\xbfHTTP/1.1 200 OK',
  '\x15\x03\x01\x00\x02\x02\x28',
  '\x00\x00\x12\x04\x00\x00\x00\x00\x00',
  ': HTTP/1.1 200 OK',
  'HTTP/1.1 200 NUL\0inside',
  'HTTP/1.1 200 CR\rinside',
  'HTTP/1.1 200 CR\r\r\nInjected: yes',
  'HTTP/1.1 200 vertical\x0btab',
  'HTTP/1.1 200 DEL\x7finside',
  'HTTP/1.1 200 ESC\x1b[31m',
  'HTTP/1.1 099 Low',
  'HTTP/1.1 001 Low',
  'HTTP/1.1 000 None',
]

/** Valid by its words, or left to the recipient. */
const openStarts: readonly [start: string, must: 'fails' | Passes][] = [
  ['HTTP/1.1 200', passes()],
  ['HTTP/1.1 999 Unknown', passes({ status: 999 })],
  ['\r\nHTTP/1.1 200 OK', 'fails'],
  ['\r\n\r\nHTTP/1.1 200 OK', 'fails'],
  ['\nHTTP/1.1 200 OK', 'fails'],
  ['HTTP/1.1 200 LF\nInjected: yes', 'fails'],
]

const lineTable: Common = { table: 'header line', section: 'RFC 9110 §5', verdict: 'valid' }

/** Lines that must be taken, and the lines that the client gets of each. */
const goodLines: readonly [line: string, ...received: string[]][] = [
  ['X: y', 'X: y'],
  ['X:y', 'X: y'],
  ['X:', 'X: '],
  ['X:   ', 'X: '],
  ['X: \t y \t ', 'X: y'],
  ['X: a b\tc', 'X: a b\tc'],
  ['X: caf\xe9 \xff\x80', 'X: caf\xe9 \xff\x80'],
  ['X: \xa0y\xa0', 'X: \xa0y\xa0'],
  ['X: "quo\\"ted", <b>; =?', 'X: "quo\\"ted", <b>; =?'],
  ['X: Injected: yes', 'X: Injected: yes'],
  ['X: y:z', 'X: y:z'],
  ["!#$%&'*+-.^_`|~09: y", "!#$%&'*+-.^_`|~09: y"],
  ['__proto__: y', '__proto__: y'],
  ['constructor: y', 'constructor: y'],
  ['toString: y', 'toString: y'],
  ['X: 1\r\nX: 2\r\nX: 3', 'X: 1', 'X: 2', 'X: 3'],
  ['Set-Cookie: a=b\r\nSet-Cookie: c=d', 'Set-Cookie: a=b', 'Set-Cookie: c=d'],
  ['Host: other\r\nCookie: a=b', 'Host: other', 'Cookie: a=b'],
  ['X-Hop: y\r\nConnection: x-hop'],
  ['Keep-Alive: timeout=5\r\nProxy-Connection: close\r\nUpgrade: h2c\r\nTE: trailers'],
  ['Connection: close'],
  ['Connection: , ,,keep-alive, \t,'],
  [`X: ${'y'.repeat(10_000)}`, `X: ${'y'.repeat(10_000)}`],
  [`${'X'.repeat(5000)}: y`, `${'X'.repeat(5000)}: y`],
]

const badLines: readonly string[] = [
  'X : y',
  'X\t: y',
  'Content-Length : 0',
  'Transfer-Encoding : chunked',
  'Transfer-Encoding\t: chunked',
  'X y: z',
  'X',
  'Injected',
  ': y',
  ':',
  ' : y',
  'X\0: y',
  'X\x7f: y',
  'X\x0b: y',
  'X\r: y',
  'X\xe9: y',
  '\xa0X: y',
  'X\xa0: y',
  'X@: y',
  'X(y): z',
  'X[]: y',
  'X{}: y',
  'X/y: z',
  'X;y: z',
  'X,y: z',
  'X=y: z',
  '"X": y',
  '<X>: y',
  'X: \0',
  'X: a\0b',
  'X: y\0',
  'X: \x01',
  'X: a\x08b',
  'X: a\x0bb',
  'X: a\x0cb',
  'X: a\x1bb',
  'X: a\x7fb',
  'X: y\rInjected: yes',
  'X: y\r\r\nInjected: yes',
  'X: y\r\r\r\nInjected: yes',
  '\rInjected: yes',
  '\r\rInjected: yes',
  'X: y\n\rInjected: yes',
  'Content-Length\0: 0',
  '\0Content-Length: 0',
]

const openLines: readonly string[] = [
  ' X: y',
  '\tX: y',
  'X: y\r\n z',
  'X: y\r\n\tInjected: yes',
  'X:\r\n y',
  'X: y\r\n Content-Length: 0',
  'X: y\nInjected: yes',
  'X: y\n Injected: yes',
  'X: y\n\nInjected: yes',
]

const ends: readonly [endOfLine: string, isGood: boolean][] = [
  ['\r\n', true],
  ['\n', false],
  ['\r', false],
  ['\r\r\n', false],
  ['\n\r', false],
  ['\n\n', false],
  [' \r\n', false],
  ['\0\r\n', false],
]

function start(common: Common, text: string, must?: HostileResponse['must']): HostileResponse {
  return entry(common, shown(text), {
    steps: [{ write: response({ start: text }) }],
    ...(must && { must }),
  })
}

/** A line, with the length before and behind it: neither place may make a difference. */
function line(common: Common, text: string, must?: HostileResponse['must']): HostileResponse[] {
  return [
    ['in front', [text, LENGTH]],
    ['behind', [LENGTH, text]],
  ].map(([where, lines]) =>
    entry(common, `${shown(text)} ${where as string}`, {
      steps: [{ write: response({ lines: lines as string[] }) }],
      ...(must && { must }),
    }),
  )
}

export const heads: readonly HostileResponse[] = [
  ...goodStarts.map(([text, sees]) => start(startLines, text, passes(sees))),
  ...badStarts.map((text) => start({ ...startLines, verdict: 'invalid' }, text)),
  ...openStarts.map(([text, must]) => start({ ...startLines, verdict: 'open' }, text, must)),
  ...goodLines.flatMap(([text, ...lines]) => line(lineTable, text, passes({ lines }))),
  ...badLines.flatMap((text) => line({ ...lineTable, verdict: 'invalid' }, text)),
  ...openLines.flatMap((text) =>
    line({ ...lineTable, section: 'RFC 9112 §2.2, §5.2', verdict: 'open' }, text),
  ),
  ...ends.map(([endOfLine, isGood]) =>
    entry(
      { table: 'ends of lines', section: 'RFC 9112 §2.2', verdict: isGood ? 'valid' : 'invalid' },
      shown(endOfLine),
      // Without LF it is no line, but may become one.
      { steps: [{ write: response({ endOfLine }) }], ...(endOfLine === '\r' && { isSilent: true as const }) },
    ),
  ),
]
