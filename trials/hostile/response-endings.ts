import {
  BODY,
  CHUNKED,
  CHUNKS,
  entry,
  type HostileResponse,
  LENGTH,
  type Must,
  passes,
  POISON,
  response,
  shown,
} from './response-entry.js'

const HEAD = response({ body: '' })
const CHUNKED_HEAD = response({ lines: [CHUNKED], body: '' })
const UNFRAMED_HEAD = response({ lines: ['X: y'], body: '' })
const WITH_TRAILERS = `5\r\n${BODY}\r\n0\r\nX: y\r\n\r\n`

/** Where a head is cut: every place in which a parser may stand. */
const headCuts: readonly string[] = [
  '',
  'H',
  'HTTP/1.1',
  'HTTP/1.1 20',
  'HTTP/1.1 200',
  'HTTP/1.1 200 O',
  'HTTP/1.1 200 OK\r',
  'HTTP/1.1 200 OK\r\n',
  'HTTP/1.1 200 OK\r\n\r',
  'HTTP/1.1 200 OK\r\nX',
  'HTTP/1.1 200 OK\r\nX:',
  'HTTP/1.1 200 OK\r\nX: y',
  'HTTP/1.1 200 OK\r\nX: y\r',
  'HTTP/1.1 200 OK\r\nX: y\r\n',
  HEAD.slice(0, -1),
  'HTTP/1.1 100 Continue\r\n\r\n',
  'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n',
  'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n',
]

const bodyCuts: readonly string[] = [
  HEAD,
  `${HEAD}h`,
  `${HEAD}hell`,
  ...[0, 1, 2, 3, 5, 8, 9, 10, 11, 12, 13, 14, 17, 18, 19].map(
    (length) => CHUNKED_HEAD + WITH_TRAILERS.slice(0, length),
  ),
]

const cuts = { table: 'cut', section: 'RFC 9112 §8', verdict: 'invalid' } as const

function cut(text: string, how: 'end' | 'reset', must: Must): HostileResponse {
  return entry(
    { ...cuts, ...(must === 'breaks' && { mustHead: how === 'end' ? passes({ body: '' }) : 'ends' }) },
    `${how} behind ${tail(text)}`,
    { steps: [{ write: text }, how], must, ...(how === 'reset' && must === 'breaks' && { node: 'depends' }) },
  )
}

/** The last words of a text; the head that all have is left out. */
function tail(text: string): string {
  const rest = text.replace(CHUNKED_HEAD, '(chunks) ').replace(HEAD, '(length) ')
  return shown(rest)
}

/** Behind a response that is whole, or is by its end. */
const wholes: readonly HostileResponse[] = [
  [response({}), 'end', passes()],
  [response({}), 'reset', 'ends'],
  [response({ lines: [LENGTH, 'Connection: close'] }), 'end', passes()],
  [response({ lines: [CHUNKED], body: CHUNKS }), 'end', passes()],
  [response({ lines: [CHUNKED], body: CHUNKS }), 'reset', 'ends'],
  [UNFRAMED_HEAD, 'end', passes({ body: '', lines: ['X: y'] })],
  [UNFRAMED_HEAD + BODY, 'end', passes({ lines: ['X: y'] })],
  [UNFRAMED_HEAD, 'reset', 'ends'],
  [UNFRAMED_HEAD + BODY, 'reset', 'breaks'],
].map(([text, how, must]) =>
  entry(
    {
      table: 'end',
      section: 'RFC 9112 §6.3, §8',
      verdict: must === 'breaks' ? 'invalid' : 'valid',
      mustHead: how === 'reset' ? 'ends' : bodylessOf(must as Must),
    },
    `${how as string} behind ${shown((text as string).replace('\r\nContent-Type: text/plain', ''))}`,
    {
      steps: [{ write: text as string }, how as 'end' | 'reset'],
      must: must as Must,
      ...(how === 'reset' && { node: 'depends' }),
    },
  ),
)

function bodylessOf(must: Must): Must {
  return typeof must === 'string' ? must : { ...must, body: '' }
}

/** More than the response, in the same packet. */
const surplus: readonly string[] = [
  'X',
  '\r\n',
  '\0',
  ' ',
  POISON,
  `\r\n${POISON}`,
  'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n',
  'HTTP/1.1 100 Continue\r\n\r\n',
  'HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n',
  'HTTP/1.1 2',
  '0\r\n\r\n',
]

const tooMuch: readonly HostileResponse[] = [
  { how: 'a length', text: response({}), sees: passes() },
  {
    how: 'a length of 0',
    text: response({ lines: ['Content-Length: 0'], body: '' }),
    sees: passes({ body: '' }),
  },
  { how: 'chunks', text: response({ lines: [CHUNKED], body: CHUNKS }), sees: passes() },
  {
    how: 'a 204',
    text: response({ start: 'HTTP/1.1 204 No Content', lines: [], body: '' }),
    sees: passes({ status: 204, body: '' }),
  },
].flatMap(({ how, text, sees }) =>
  surplus.map((rest) =>
    entry(
      { table: 'too much', section: 'RFC 9112 §6.3, §9.2', verdict: 'valid', node: 'depends' },
      `${shown(rest)} behind ${how}`,
      {
        steps: [{ write: text + rest }],
        spoils: true,
        must: sees,
      },
    ),
  ),
)

/** Bodies where none may be. */
const bodyless: readonly HostileResponse[] = [204, 304].flatMap((status) =>
  [
    { lines: [LENGTH], body: BODY },
    { lines: [LENGTH], body: '' },
    { lines: [LENGTH], body: POISON },
    { lines: ['Content-Length: 9007199254740991'], body: '' },
    { lines: [CHUNKED], body: CHUNKS },
    { lines: [CHUNKED], body: '' },
    { lines: [], body: POISON },
  ].map(({ lines, body }) =>
    entry(
      {
        table: 'no body',
        section: 'RFC 9110 §15.3.5, §15.4.5, RFC 9112 §6.3',
        verdict: 'valid',
        node: 'depends',
      },
      `${status}, ${lines.join() || 'no framing'}, then ${shown(body) || 'nothing'}`,
      {
        steps: [{ write: response({ start: `HTTP/1.1 ${status} Empty`, lines, body }) }],
        must: passes({ status, body: '' }),
      },
    ),
  ),
)

/** The whole list. */
export const endings: readonly HostileResponse[] = [
  ...headCuts.flatMap((text) => [cut(text, 'end', 'fails'), cut(text, 'reset', 'fails')]),
  ...bodyCuts.flatMap((text) => [cut(text, 'end', 'breaks'), cut(text, 'reset', 'breaks')]),
  ...wholes,
  ...tooMuch,
  ...bodyless,
]
