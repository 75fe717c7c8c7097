/** One kind of message that a hostile client may send. */
export interface Kind {
  readonly name: string
  /** The bytes of one message whose answer says `id`. */
  readonly bytes: (id: string) => string
  /** The same message without what asks for an upgrade: how bare Node serves it, but for what it loses behind it. */
  readonly plain?: (id: string) => string
  /** Asks to leave HTTP/1.1, so with `attach` the connection may end behind its answer. */
  readonly isUpgrade?: true
  /** Has a body that maxBytes refuses. */
  readonly isTooLarge?: true
  /** Leaves so much of its body unread that the connection is closed rather than drained. */
  readonly leavesLargeRest?: true
  /** Waits for `100 Continue`; an answer without it closes the connection, as Node decides it. */
  readonly isExpecting?: true
  /** Behind it Node takes nothing more: what follows is an error of the parser, at once. */
  readonly endsConnection?: true
  /** Is refused by Node before any application sees it. */
  readonly isInvalid?: true
}

/** The largest body that maxBytes lets through to `/read`. */
export const READ_LIMIT = 4096
/** More than what is discarded to keep a connection. */
const LARGE_REST = 300_000

const HOST = 'Host: a\r\n'
const SOCKET_KEY = 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'

function get(path: string, lines = HOST, version = 'HTTP/1.1'): Kind['bytes'] {
  return (id) => `GET ${path}/${id} ${version}\r\n${lines}\r\n`
}

function post(path: string, length: number, lines = ''): Kind['bytes'] {
  const body = 'b'.repeat(length)
  return (id) => `POST ${path}/${id} HTTP/1.1\r\n${HOST}${lines}Content-Length: ${length}\r\n\r\n${body}`
}

function postChunks(path: string, length: number, lines = ''): Kind['bytes'] {
  const body = `${length.toString(16)}\r\n${'b'.repeat(length)}\r\n0\r\n\r\n`
  return (id) => `POST ${path}/${id} HTTP/1.1\r\n${HOST}${lines}Transfer-Encoding: chunked\r\n\r\n${body}`
}

function upgradeTo(protocol: string): string {
  return `Connection: Upgrade\r\nUpgrade: ${protocol}\r\n`
}

const WEBSOCKET = upgradeTo('websocket') + SOCKET_KEY
const H2C =
  'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n'

export const kinds: readonly Kind[] = [
  { name: 'slow GET', bytes: get('/slow') },
  { name: 'quick GET', bytes: get('/quick') },
  { name: 'POST with a length', bytes: post('/read', 5) },
  { name: 'POST in chunks', bytes: postChunks('/read', 5) },
  { name: 'POST too large', bytes: post('/read', READ_LIMIT + 1), isTooLarge: true },
  { name: 'POST too large in chunks', bytes: postChunks('/read', READ_LIMIT + 1), isTooLarge: true },
  { name: 'POST left unread', bytes: post('/unread', 5) },
  { name: 'large POST left unread', bytes: post('/unread', LARGE_REST), leavesLargeRest: true },
  { name: 'POST with Expect', bytes: post('/read', 5, 'Expect: 100-continue\r\n'), isExpecting: true },
  { name: 'websocket', bytes: get('/quick', HOST + WEBSOCKET), plain: get('/quick'), isUpgrade: true },
  { name: 'h2c', bytes: get('/quick', HOST + H2C), plain: get('/quick'), isUpgrade: true },
  {
    name: 'unknown upgrade',
    bytes: get('/slow', HOST + upgradeTo('foo/2')),
    plain: get('/slow'),
    isUpgrade: true,
  },
  {
    name: 'upgrade with a body',
    bytes: post('/read', 5, WEBSOCKET),
    plain: post('/read', 5),
    isUpgrade: true,
  },
  {
    name: 'upgrade with chunks',
    bytes: postChunks('/read', 5, upgradeTo('foo')),
    plain: postChunks('/read', 5),
    isUpgrade: true,
  },
  {
    name: 'upgrade without Host',
    bytes: get('/quick', WEBSOCKET),
    plain: get('/quick', ''),
    isUpgrade: true,
    isInvalid: true,
  },
  { name: 'HTTP/1.0', bytes: get('/quick', '', 'HTTP/1.0'), endsConnection: true },
  { name: 'HTTP/2.0', bytes: get('/slow', HOST, 'HTTP/2.0'), endsConnection: true },
  { name: 'CONNECT', bytes: () => `CONNECT a:1 HTTP/1.1\r\n${HOST}\r\n`, isInvalid: true },
  { name: 'garbage', bytes: () => '\x16\x03\x01 hello\r\n\r\n', isInvalid: true },
  { name: 'Connection: close', bytes: get('/quick', `${HOST}Connection: close\r\n`), endsConnection: true },
]

/** Every sequence of up to `most` kinds. */
export function sequences(most: number): (readonly Kind[])[] {
  if (most === 0) return []
  const shorter = sequences(most - 1)
  const longest = shorter.filter(({ length }) => length === most - 1)
  const starts: (readonly Kind[])[] = most === 1 ? [[]] : longest
  return [...shorter, ...starts.flatMap((start) => kinds.map((kind) => [...start, kind]))]
}
