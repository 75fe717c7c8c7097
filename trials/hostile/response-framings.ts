import {
  type Common,
  entry,
  type HostileResponse,
  type Must,
  passes,
  POISON,
  response,
  shown,
} from './response-entry.js'

/** How a framing is read, whichever lines tell of it. */
type Reading = number | 'chunked' | 'to the end' | 'refused'

const N = POISON.length
const HEX = N.toString(16)
const LENGTH_LINE = `Content-Length: ${N}`
const CHUNKED_LINE = 'Transfer-Encoding: chunked'

/** The body that each framing is tried with. */
const bodies: Readonly<Record<string, string>> = {
  'as it is': POISON,
  'in a chunk': `${HEX}\r\n${POISON}\r\n0\r\n\r\n`,
  'behind an end': `0\r\n\r\n${POISON}`,
}

const lengths: readonly [value: string, reading: Reading, verdict?: 'open'][] = [
  [`${N}`, N],
  ['0', 0],
  [`  ${N}  `, N],
  [`\t${N}`, N],
  [`${N}\t`, N],
  [`000${N}`, N],
  [`${'0'.repeat(30)}${N}`, N],
  [`${N + 1}`, N + 1],
  [`${N - 1}`, N - 1],
  ['4294967296', 4_294_967_296],
  [`${2 ** 32 + N}`, 2 ** 32 + N],
  ['9007199254740991', 2 ** 53 - 1],
  // docs/behaviour.md: a length is less than 2^53.
  ['9007199254740993', 'refused', 'open'],
  ['18446744073709551615', 'refused', 'open'],
  ['18446744073709551616', 'refused', 'open'],
  [`1844674407370955${1616 + N}`, 'refused', 'open'],
  ['9'.repeat(400), 'refused', 'open'],
  [`${N}, ${N}`, 'refused', 'open'],
  [`${N},${N + 1}`, 'refused'],
  [`${N},`, 'refused'],
  [`${N} ${N}`, 'refused'],
  [`${N};`, 'refused'],
  [`+${N}`, 'refused'],
  [`-${N}`, 'refused'],
  ['-1', 'refused'],
  ['-0', 'refused'],
  [`0x${HEX}`, 'refused'],
  ['0o7', 'refused'],
  ['1e1', 'refused'],
  ['1.0', 'refused'],
  ['1_0', 'refused'],
  [`"${N}"`, 'refused'],
  ['', 'refused'],
  [' ', 'refused'],
  ['chunked', 'refused'],
  ['NaN', 'refused'],
  ['Infinity', 'refused'],
  [`\x0b${N}`, 'refused'],
  [`${N}\0`, 'refused'],
  [`\xa0${N}`, 'refused'],
  ['\xb2', 'refused'],
]

const codings: readonly [value: string, reading: Reading, verdict?: 'open'][] = [
  ['chunked', 'chunked'],
  ['Chunked', 'chunked'],
  ['CHUNKED', 'chunked'],
  ['\tchunked \t', 'chunked'],
  ['xchunked', 'refused', 'open'],
  ['chunkedx', 'refused', 'open'],
  ['chunked, identity', 'refused', 'open'],
  ['identity, chunked', 'refused', 'open'],
  ['gzip, chunked', 'refused', 'open'],
  ['chunked, chunked', 'refused'],
  ['gzip', 'refused', 'open'],
  ['identity', 'refused', 'open'],
  ['"chunked"', 'refused', 'open'],
  ['chunked;q=1', 'refused', 'open'],
  ['chunked;', 'refused', 'open'],
  [', chunked', 'refused', 'open'],
  ['chunked,', 'refused', 'open'],
  ['', 'refused', 'open'],
  ['chun ked', 'refused'],
  ['\x0bchunked', 'refused'],
  ['\0chunked', 'refused'],
  ['chunked\0', 'refused'],
  ['chunked\x0c', 'refused'],
  ['\xa0chunked', 'refused'],
  ['chun\xadked', 'refused'],
  ['\r\n chunked', 'refused', 'open'],
]

const mixtures: readonly [lines: readonly string[], reading: Reading, verdict?: 'open'][] = [
  [[], 'to the end'],
  [[LENGTH_LINE, CHUNKED_LINE], 'refused', 'open'],
  [[CHUNKED_LINE, LENGTH_LINE], 'refused', 'open'],
  [[CHUNKED_LINE, 'Content-Length: 0'], 'refused', 'open'],
  [['Content-Length: 0', CHUNKED_LINE], 'refused', 'open'],
  [[LENGTH_LINE, LENGTH_LINE], 'refused', 'open'],
  [[LENGTH_LINE, `content-length: ${N}`], 'refused', 'open'],
  [[LENGTH_LINE, 'Content-Length: 0'], 'refused'],
  [['Content-Length: 0', LENGTH_LINE], 'refused'],
  [[LENGTH_LINE, 'Content-Length:'], 'refused'],
  [[CHUNKED_LINE, CHUNKED_LINE], 'refused'],
  [[CHUNKED_LINE, 'Transfer-Encoding: identity'], 'refused', 'open'],
  [['Transfer-Encoding: identity', CHUNKED_LINE], 'refused', 'open'],
  [['Transfer-Encoding: gzip', LENGTH_LINE], 'refused', 'open'],
  [['Transfer_Encoding: chunked', LENGTH_LINE], N],
  [['Content_Length: 0', LENGTH_LINE], N],
  [['X: y\nTransfer-Encoding: chunked', LENGTH_LINE], 'refused', 'open'],
  [['X: y\rTransfer-Encoding: chunked', LENGTH_LINE], 'refused'],
  [[` ${CHUNKED_LINE}`, LENGTH_LINE], 'refused'],
  [['Connection: content-length', LENGTH_LINE], N],
  [['Connection: transfer-encoding', CHUNKED_LINE], 'chunked'],
  [['Connection: close, transfer-encoding', CHUNKED_LINE], 'chunked'],
  [['TE: chunked', LENGTH_LINE], N],
  [['Trailer: Content-Length', CHUNKED_LINE], 'chunked'],
  [['Content-Type: multipart/byteranges; boundary=HTTP', LENGTH_LINE], N],
]

const old: readonly [lines: readonly string[], reading: Reading, verdict?: 'open'][] = [
  [[], 'to the end'],
  [[LENGTH_LINE], N],
  [[LENGTH_LINE, 'Connection: keep-alive'], N],
  [['Connection: keep-alive'], 'to the end'],
  [[CHUNKED_LINE], 'refused', 'open'],
  [[CHUNKED_LINE, 'Connection: keep-alive'], 'refused', 'open'],
  [[CHUNKED_LINE, LENGTH_LINE], 'refused', 'open'],
]

/** What the client gets of a body that is read in this way. */
function mustOf(reading: Reading, body: string): Must {
  if (reading === 'refused') return 'fails'
  if (reading === 'to the end') return passes({ body })
  if (reading === 'chunked') return decoded[body] === undefined ? 'breaks' : passes({ body: decoded[body] })
  return reading <= body.length ? passes({ body: body.slice(0, reading) }) : 'breaks'
}

const decoded: Readonly<Record<string, string>> = {
  [bodies['in a chunk'] as string]: POISON,
  [bodies['behind an end'] as string]: '',
}

/** The names with an underscore are no framing: they are header lines as any others. */
function withLines(must: Must, lines: readonly string[]): Must {
  const received = lines.filter((line) => line.includes('_'))
  return typeof must === 'string' || received.length === 0 ? must : { ...must, lines: received }
}

/** Whether the connection has to end, for the body to be over. */
function needsEnd(reading: Reading, body: string): boolean {
  return reading === 'to the end' || (typeof reading === 'number' && reading > body.length)
}

function framed(
  common: Omit<Common, 'verdict'>,
  parts: { name: string; start?: string; lines: readonly string[] },
  reading: Reading,
  verdict: HostileResponse['verdict'] = reading === 'refused' ? 'invalid' : 'valid',
): HostileResponse[] {
  return Object.entries(bodies).map(([where, body]) => {
    const must = withLines(mustOf(reading, body), parts.lines)
    return entry({ ...common, verdict }, `${shown(parts.name)}, body ${where}`, {
      steps: [
        { write: response({ ...parts, body }) },
        ...(needsEnd(reading, body) ? (['end'] as const) : []),
      ],
      must,
      mustHead: must === 'fails' ? 'fails' : withLines(passes({ body: '' }), parts.lines),
      ...(leavesBytes(reading, body) && { node: 'depends', spoils: true }),
    })
  })
}

/** Whether bytes come behind the end of the body, in whichever way that is read. */
function leavesBytes(reading: Reading, body: string): boolean {
  return body === bodies['behind an end'] || (typeof reading === 'number' && reading < body.length)
}

/** Every framing with a whole response as its body, in a chunk of it, and behind its end. */
export const framings: readonly HostileResponse[] = [
  ...lengths.flatMap(([value, reading, verdict]) =>
    framed(
      { table: 'Content-Length', section: 'RFC 9110 §8.6, RFC 9112 §6.3' },
      { name: value, lines: [`Content-Length: ${value}`] },
      reading,
      verdict,
    ),
  ),
  ...codings.flatMap(([value, reading, verdict]) =>
    framed(
      { table: 'Transfer-Encoding', section: 'RFC 9112 §6.1, §7' },
      { name: value, lines: [`Transfer-Encoding: ${value}`] },
      reading,
      verdict,
    ),
  ),
  ...mixtures.flatMap(([lines, reading, verdict]) =>
    framed(
      { table: 'framing lines', section: 'RFC 9112 §6.3' },
      { name: lines.join(), lines },
      reading,
      verdict,
    ),
  ),
  ...old.flatMap(([lines, reading, verdict]) =>
    framed(
      { table: 'HTTP/1.0', section: 'RFC 9112 §6.1, §6.3' },
      { name: lines.join(), start: 'HTTP/1.0 200 OK', lines },
      reading,
      verdict,
    ),
  ),
]
