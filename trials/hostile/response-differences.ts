/** What others make otherwise of some responses than the proxy's own client, and why that is so. */
interface Difference {
  /** `undici`: versions 7 and 8 as a dispatcher. `Node`: its own client, from Node 22 on. */
  readonly of: readonly ('undici' | 'Node')[]
  /** Which entries, by their names. */
  readonly entries: RegExp
  readonly why: string
  /** The innocent request behind it fails, too: with an error of ours, and nothing that belongs to another. */
  readonly failsNext?: true
  /** It would not end. */
  readonly isEndless?: true
}

const both = ['undici', 'Node'] as const

export const differences: readonly Difference[] = [
  {
    of: both,
    entries: /^status line: RTSP\/1\.0 200 OK$/,
    why: 'llhttp parses RTSP, too',
  },
  {
    of: both,
    entries: /^(?:status line: HTTP\/1\.1 200 (?:NUL|vertical|DEL|ESC)|interim: HTTP\/1\.1 103 Early\\u0000)/,
    why: 'llhttp takes anything but CR and LF for a part of a reason phrase; the proxy passes no such phrase on',
  },
  {
    of: both,
    entries: /^status line: (?:\\r)?\\n/,
    why: 'llhttp skips empty lines in front of a response, as RFC 9112 §2.2 has servers do with requests',
  },
  {
    of: ['undici'],
    entries: /^status line: HTTP\/1\.1 200 caf\\xe9/,
    why: 'undici decodes a reason phrase as UTF-8; the proxy writes that of the status in its place',
  },
  {
    of: ['undici'],
    entries: /^(?:header line: X: \\t y \\t|byte by byte: .*X:\\t y\\t|last chunk: 0\\r\\nX: caf\\xe9 \\t)/,
    why: 'llhttp leaves tabs that stand behind a value (RFC 9110 §5.5)',
  },
  {
    of: ['undici'],
    entries: /^Content-Length: (?: +59 +|59\\t), /,
    why: 'llhttp refuses a length with white space behind it (RFC 9110 §5.5)',
  },
  {
    of: ['undici'],
    entries: /^Transfer-Encoding: (?:\\tchunked \\t|\\xa0chunked), /,
    why: 'llhttp does not know these for chunked, and reads on to the end of the connection (RFC 9112 §6.3)',
  },
  {
    of: ['Node'],
    entries: /^Transfer-Encoding: \\tchunked \\t, body in a chunk$/,
    why: 'llhttp does not know this for chunked, and reads on to the end of the connection (RFC 9112 §6.3)',
  },
  {
    of: ['Node'],
    entries:
      /^(?:Transfer-Encoding: (?:identity|gzip|chunked|), chunked|framing lines: Transfer-Encoding: identity,Transfer-Encoding: chunked), body in a chunk$/,
    why: 'Node decodes what ends with chunked, and leaves the codings before it to its caller (RFC 9112 §6.1)',
  },
  {
    of: ['undici'],
    entries: /^framing lines: Transfer-Encoding: chunked,Transfer-Encoding: chunked, /,
    why: 'llhttp takes chunked twice for once (RFC 9112 §6.1)',
  },
  {
    of: ['Node'],
    entries: /^framing lines: Transfer-Encoding: chunked,Transfer-Encoding: chunked, body in a chunk$/,
    why: 'llhttp takes chunked twice for once (RFC 9112 §6.1)',
  },
  {
    of: ['undici'],
    entries: /^HTTP\/1\.0: Transfer-Encoding: chunked(?:,Connection: keep-alive)?, /,
    why: 'llhttp takes chunks from HTTP/1.0 (RFC 9112 §6.1 has clients treat them as faulty)',
  },
  {
    of: ['Node'],
    entries: /^HTTP\/1\.0: Transfer-Encoding: chunked(?:,Connection: keep-alive)?, body in a chunk$/,
    why: 'llhttp takes chunks from HTTP/1.0 (RFC 9112 §6.1 has clients treat them as faulty)',
  },
  {
    of: ['Node'],
    entries: /^status line: HTTP\/1\.1 (?:099|001|000) /,
    why: 'Node takes any three digits for a status (RFC 9110 §15)',
  },
  {
    of: ['Node'],
    entries: /^interim: HTTP\/1\.0 100 /,
    why: 'llhttp ends the connection behind any response of HTTP/1.0 (RFC 9110 §15.2)',
  },
  {
    of: both,
    entries: /^chunk size: 5;(?:|;|a=\\"b|a=\\tb)\\r\\n$/,
    why: 'llhttp parses extensions, and refuses what is none; nobody else looks at them (RFC 9112 §7.1.1)',
  },
  {
    of: both,
    entries: /^chunk size: 0{40}…/,
    why: 'llhttp does not bound the zeros in front of a size',
  },
  {
    of: ['undici'],
    entries: /^chunk size: 5;x{38}…/,
    why: 'llhttp does not bound an extension (RFC 9112 §7.1.1); Node does',
  },
  {
    of: both,
    entries: /^last chunk: 0\\r\\nContent-Length: 9/,
    why: 'llhttp takes a Content-Length in a trailer for framing (RFC 9110 §6.5.1)',
  },
  {
    of: ['undici'],
    entries: /^last chunk: 0\\r\\nConnection: close/,
    why: 'llhttp closes over a trailer, which undici does not notice: it sends the next request on that connection',
    failsNext: true,
  },
  {
    of: ['undici'],
    entries: /^within TLS: write HTTP\/1\.1 200 OK.*hello \(69\), clear /,
    why: 'undici sends the next request before it has read what breaks TLS behind the response',
    failsNext: true,
  },
  {
    of: both,
    entries:
      /^(?:end: reset behind HTTP\/1\.1 200 OK\\r\\nX: y\\r\\n\\r\\nhello|within TLS: write HTTP\/1\.1 200 OK\\r\\nContent-Type: text\/plain\\r\\n\\r\\nhello, reset)$/,
    why: 'libuv makes an end of a reset that comes with the last bytes, and nobody else asks (RFC 9112 §8)',
  },
  {
    of: ['undici'],
    entries:
      /^(?:interim: HTTP\/1\.[01] 100|during the upload: write HTTP\/1\.1 100|byte by byte: HTTP\/1\.1 100)/,
    why: 'undici refuses a 100 that it has not asked for (RFC 9110 §15.2 has clients skip it)',
  },
  {
    of: both,
    entries: /^interim: HTTP\/1\.1 103 Early Hints\\r\\nConnection: close/,
    why: 'llhttp ends the connection behind an interim response that says so (RFC 9112 §9.6 speaks of final ones)',
  },
  {
    of: ['undici'],
    entries: /^large: (?:a line of 30 KB|cookies of 60 KB|a reason of 200 KB)$/,
    why: 'undici takes 16 KB of header lines, and does not count a reason',
  },
  {
    of: ['undici'],
    entries: /^flood: extensions$/,
    why: 'llhttp bounds no extensions: with a byte of data behind each, this is a body that goes on and on',
    isEndless: true,
  },
]

/** What is known of a client that differs in an entry. */
export function differenceOf(client: 'undici' | 'Node', entry: string): Difference | undefined {
  return differences.find(({ of, entries }) => of.includes(client) && entries.test(entry))
}
