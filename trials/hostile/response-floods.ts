import {
  BODY,
  CHUNKED,
  CHUNKS,
  entry,
  type HostileResponse,
  LENGTH,
  type Must,
  passes,
  type Passes,
  POISON,
  response,
  shown,
  type Step,
} from './response-entry.js'

const OK = 'HTTP/1.1 200 OK\r\n'
const CHUNKED_HEAD = response({ lines: [CHUNKED], body: '' })
const HEAD_ONLY = passes({ body: '' })

/** What begins a response, what follows without end, and what must become of it. */
const floods: readonly [name: string, start: string, flood: string, must: Must, mustHead?: Must][] = [
  ['100', '', 'HTTP/1.1 100 Continue\r\n\r\n', 'fails'],
  ['102', '', 'HTTP/1.1 102 Processing\r\n\r\n', 'fails'],
  ['103', '', 'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n', 'fails'],
  ['103 with long lines', '', `HTTP/1.1 103 Early Hints\r\nLink: ${'a'.repeat(8000)}\r\n\r\n`, 'fails'],
  ['ends of lines', '', '\r\n', 'fails'],
  ['LF', '', '\n', 'fails'],
  ['NUL', '', '\0', 'fails'],
  ['letters', '', 'HTTP', 'fails'],
  ['a reason', 'HTTP/1.1 200 ', 'OK', 'fails'],
  ['header lines', OK, 'X: y\r\n', 'fails'],
  ['short header lines', OK, 'X:\r\n', 'fails'],
  ['a name', OK, 'X', 'fails'],
  ['a value', `${OK}X: `, 'y', 'fails'],
  ['spaces', `${OK}X:`, ' ', 'fails'],
  ['tabs behind a value', `${OK}X: y`, '\t', 'fails'],
  ['folded lines', `${OK}X: y\r\n`, ' z\r\n', 'fails'],
  ['Set-Cookie', OK, 'Set-Cookie: a=b\r\n', 'fails'],
  ['the digits of a length', `${OK}Content-Length: `, '0', 'fails'],
  ['codings', `${OK}Transfer-Encoding: `, 'chunked, ', 'fails'],
  ['an extension', `${CHUNKED_HEAD}5;`, 'a', 'breaks', HEAD_ONLY],
  ['extensions', CHUNKED_HEAD, `1;${'a'.repeat(4000)}\r\nx\r\n`, 'breaks', HEAD_ONLY],
  ['the digits of a chunk', CHUNKED_HEAD, '0', 'breaks', HEAD_ONLY],
  ['trailers', `${CHUNKED_HEAD}${CHUNKS.slice(0, -2)}`, 'X: y\r\n', 'breaks', HEAD_ONLY],
  ['a trailer', `${CHUNKED_HEAD}${CHUNKS.slice(0, -2)}X: `, 'y', 'breaks', HEAD_ONLY],
  ['bytes behind a body', response({}), 'x', passes(), HEAD_ONLY],
  ['responses behind a body', response({}), POISON, passes(), HEAD_ONLY],
  ['bytes behind a 204', 'HTTP/1.1 204 No\r\n\r\n', 'x', passes({ status: 204, body: '' })],
  [
    'bytes behind a 304',
    `HTTP/1.1 304 Not Modified\r\n${LENGTH}\r\n\r\n`,
    'x',
    passes({ status: 304, body: '' }),
  ],
]

/** Large, but not without end. */
const large: readonly [name: string, text: string, must: Passes | 'fails'][] = [
  ['500 lines', response({ lines: [...lines(500), LENGTH] }), passes({ lines: lines(500) })],
  [
    'a line of 30 KB',
    response({ lines: [`X: ${'y'.repeat(30_000)}`, LENGTH] }),
    passes({ lines: [`X: ${'y'.repeat(30_000)}`] }),
  ],
  ['cookies of 60 KB', response({ lines: [...cookies(15), LENGTH] }), passes({ lines: cookies(15) })],
  ['a line of 200 KB', response({ lines: [`X: ${'y'.repeat(200_000)}`, LENGTH] }), 'fails'],
  ['50,000 lines', response({ lines: [...lines(50_000), LENGTH] }), 'fails'],
  ['a reason of 5 KB', response({ start: `HTTP/1.1 200 ${'r'.repeat(5000)}` }), passes()],
  ['a reason of 200 KB', response({ start: `HTTP/1.1 200 ${'r'.repeat(200_000)}` }), 'fails'],
  [
    '2000 chunks of a byte',
    response({ lines: [CHUNKED], body: `${'1\r\nx\r\n'.repeat(2000)}0\r\n\r\n` }),
    passes({ body: 'x'.repeat(2000) }),
  ],
  [
    '100 trailers',
    response({ lines: [CHUNKED], body: `${CHUNKS.slice(0, -2)}${lines(100).join('\r\n')}\r\n\r\n` }),
    passes({ trailers: lines(100) }),
  ],
]

function lines(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `X-${index}: y`)
}

function cookies(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `Set-Cookie: c${index}=${'v'.repeat(4000)}`)
}

/** Responses of each kind, byte by byte. */
const bytewise: readonly [text: string, must: Must, mustHead?: Must][] = [
  [response({}), passes()],
  [response({ lines: [CHUNKED], body: CHUNKS }), passes()],
  [
    response({ lines: ['X:\t y\t', CHUNKED], body: `2;a="b"\r\nhe\r\n03\r\nllo\r\n0\r\nX: y\r\n\r\n` }),
    passes({ lines: ['X: y'], trailers: ['X: y'] }),
    passes({ lines: ['X: y'], body: '' }),
  ],
  [`HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${response({})}`, passes()],
  [response({ start: 'HTTP/1.1 204 No Content', lines: [], body: '' }), passes({ status: 204, body: '' })],
  [response({ start: 'HTTP/1.1 304 Not Modified', body: '' }), passes({ status: 304, body: '' })],
  [response({}) + POISON, passes()],
  [response({ lines: [CHUNKED], body: CHUNKS + POISON }), passes()],
  [
    response({ start: 'HTTP/1.1 204 No Content', lines: [], body: POISON }),
    passes({ status: 204, body: '' }),
  ],
  [response({ lines: ['X: y\r\r\nInjected: yes', LENGTH] }), 'fails'],
  [response({ lines: ['\r\rInjected: yes', LENGTH] }), 'fails'],
  [response({ lines: ['X: y\r\n z', LENGTH] }), 'fails'],
  [response({ lines: ['X : y', LENGTH] }), 'fails'],
  [response({ lines: ['X: a\0b', LENGTH] }), 'fails'],
  [response({ lines: [LENGTH, CHUNKED] }), 'fails'],
  [response({ lines: [LENGTH, 'Content-Length: 6'] }), 'fails'],
  [response({ start: 'HTTP/1.1 2000 OK' }), 'fails'],
  [response({ start: 'SSH-2.0-OpenSSH' }), 'fails'],
  [response({ endOfLine: '\n' }), 'fails'],
  [response({ lines: [CHUNKED], body: `5\n${BODY}\r\n0\r\n\r\n` }), 'breaks', HEAD_ONLY],
  [response({ lines: [CHUNKED], body: `5\r\n${BODY}X\r\n0\r\n\r\n` }), 'breaks', HEAD_ONLY],
  [response({ lines: [CHUNKED], body: `5\r\n${BODY}\r\n0\r\nX : y\r\n\r\n` }), 'breaks', HEAD_ONLY],
]

/** The upstream stays silent where more is due. */
const silences: readonly [name: string, steps: readonly Step[], must: Must, mustHead?: Must][] = [
  ['nothing', [], 'fails'],
  ['half a status line', [{ write: 'HTTP/1.1 2' }], 'fails'],
  ['half a head', [{ write: `${OK}X: y\r\n` }], 'fails'],
  ['an interim response', [{ write: 'HTTP/1.1 103 Early Hints\r\n\r\n' }], 'fails'],
  ['interim responses, slowly', [{ drip: 'HTTP/1.1 102 Processing\r\n\r\n' }], 'fails'],
  ['header lines, slowly', [{ write: OK }, { drip: 'X: y\r\n' }], 'fails'],
  ['a head', [{ write: response({ body: '' }) }], 'breaks', HEAD_ONLY],
  ['half a body', [{ write: response({ body: 'he' }) }], 'breaks', HEAD_ONLY],
  ['a chunk', [{ write: `${CHUNKED_HEAD}5\r\n${BODY}\r\n` }], 'breaks', HEAD_ONLY],
  ['half a chunk', [{ write: `${CHUNKED_HEAD}5\r\nhe` }], 'breaks', HEAD_ONLY],
  ['half the trailers', [{ write: `${CHUNKED_HEAD}0\r\nX: y\r\n` }], 'breaks', HEAD_ONLY],
  ['no end of an unframed body', [{ write: response({ lines: [] }) }], 'breaks', HEAD_ONLY],
]

function verdictOf(must: Must): 'valid' | 'invalid' {
  return typeof must === 'string' ? 'invalid' : 'valid'
}

export const floodsAndSplits: readonly HostileResponse[] = [
  ...floods.map(([name, start, flood, must, mustHead]) =>
    entry({ table: 'flood', section: 'RFC 9110 §2.3, §15.2', verdict: 'open', node: 'depends' }, name, {
      steps: [{ write: start }, { flood }],
      must,
      ...(mustHead && { mustHead }),
    }),
  ),
  ...large.map(([name, text, must]) =>
    entry({ table: 'large', section: 'RFC 9110 §5.4', verdict: 'open', node: 'depends' }, name, {
      steps: [{ write: text }],
      must,
    }),
  ),
  ...bytewise.map(([text, must, mustHead]) =>
    entry(
      { table: 'byte by byte', section: 'RFC 9112 §2.2', verdict: verdictOf(must), node: 'depends' },
      shown(text.replace('\r\nContent-Type: text/plain', '')),
      {
        steps: [{ bytewise: text }],
        must,
        ...(mustHead && { mustHead }),
      },
    ),
  ),
  ...silences.map(([name, steps, must, mustHead]) =>
    entry({ table: 'silence behind', section: 'RFC 9112 §9.5', verdict: 'invalid', node: 'depends' }, name, {
      steps,
      must,
      isSilent: true,
      ...(mustHead && { mustHead }),
    }),
  ),
]
