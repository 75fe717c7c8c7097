/**
 * Measures for how long each accessor of bodyCache holds up the event loop with bodies made to be expensive.
 *
 *     npm run build && node trials/hostile/accessor-times.mjs [part of a name …]
 *
 * Each body is `parseLimit` long once it is decoded, and is sent as it is and compressed. Prints the longest stall of
 * the event loop, and the CPU time of the process (which includes decompression on other threads), of the fastest of
 * some rounds. The smaller of the two counts, as other processes stretch a stall but use no CPU time of this one. Ends
 * with 1 where a body of at most 10 KB on the wire takes more than 100 ms, or any takes more than one second.
 */
import http from 'node:http'
import zlib from 'node:zlib'
import { bodyCache } from 'sluiceway/body-cache'

const SIZE = 1024 * 1024
const [MAX_SMALL_MS, MAX_MS, SMALL] = [100, 1000, 10 * 1024]
const ROUNDS = Number(process.env.SLUICEWAY_ROUNDS ?? 3)
/** How many times as long as that a body may take: a test on a busy machine sets it. */
const SLACK = Number(process.env.SLUICEWAY_SLACK ?? 1)

const URLENCODED = 'application/x-www-form-urlencoded'
const MULTIPART = 'multipart/form-data; boundary='
const FORMS = ['urlencoded', 'formData']
const fill = (unit) => unit.repeat(Math.floor(SIZE / unit.length))
const numbered = (count, make) => Array.from({ length: count }, (_, n) => make(n))
/** `count` parameters that together fill the body. */
const thousand = (make) => numbered(1000, make).join('&').slice(0, SIZE)
const part = (boundary, lines, content = '') =>
  `--${boundary}\r\nContent-Disposition: form-data; name="a"${lines}\r\n\r\n${content}\r\n`
const parts = (count, boundary, lines, content) =>
  `${part(boundary, lines, content).repeat(count)}--${boundary}--\r\n`
const nested = (open, close) => open.repeat(SIZE / 2) + close.repeat(SIZE / 2)
const LONG = 'a'.repeat(70)

/** Each: name, Content-Type, body, accessors. */
const bodies = [
  ...[
    '+',
    '%',
    '%41',
    '%e2%82%ac',
    '%ff',
    '&',
    '=',
    '[',
    ']',
    '[]',
    '[a]',
    'a[]=&',
    'a[a]=&',
    '%5B',
    '%2B',
    '+%',
    'ü',
  ].map((unit) => [`${unit} over and over`, URLENCODED, fill(unit), FORMS]),
  ...['+', '%', '%41', '%ff', '%u0041'].map((unit) => [
    `${unit} in latin1`,
    `${URLENCODED}; charset=iso-8859-1`,
    fill(unit),
    FORMS,
  ]),
  ['a key of plus signs', URLENCODED, `${fill('+').slice(2)}=1`, FORMS],
  ['1000 keys of plus signs', URLENCODED, thousand((n) => '+'.repeat(1040) + n), FORMS],
  ['1000 keys of escapes', URLENCODED, thousand((n) => '%41'.repeat(345) + n), FORMS],
  ['32 levels in 1000 keys', URLENCODED, thousand((n) => `k${n}${'[a]'.repeat(32)}=1`), FORMS],
  [
    '32 levels of long names in 1000 keys',
    URLENCODED,
    thousand((n) => `k${n}${'[abcdefghijklmnopqrstuvwxyz]'.repeat(32)}=1`),
    FORMS,
  ],
  ['32 levels of one key', URLENCODED, thousand((n) => `k${'[a]'.repeat(31)}[${n}]=1`), FORMS],
  ['33 levels', URLENCODED, `k${'[a]'.repeat(33)}=1`, FORMS],
  ['values of one list', URLENCODED, thousand((n) => `a[]=${n}`), FORMS],
  ['lists with an index', URLENCODED, thousand((n) => `a[${n}]=${n}`), FORMS],
  ['the largest index', URLENCODED, thousand((n) => `a${n}[999]=1`), FORMS],
  ['the largest index, of 32 levels', URLENCODED, thousand((n) => `a${n}${'[999]'.repeat(32)}=1`), FORMS],
  [
    'the largest index, of 31 levels of one key',
    URLENCODED,
    thousand((n) => `a${'[999]'.repeat(31)}[${n}]=1`),
    FORMS,
  ],
  [
    'the largest index, of a list of lists',
    URLENCODED,
    thousand((n) => `a[${n}]${'[999]'.repeat(31)}=1`),
    FORMS,
  ],
  ['an index too large', URLENCODED, thousand((n) => `a[${n + 18000}]=1`), FORMS],
  ['a list that becomes an object', URLENCODED, thousand((n) => (n % 2 ? `a[]=${n}` : `a[x${n}]=1`)), FORMS],
  ['values of one key', URLENCODED, thousand(() => `a=${'x'.repeat(1000)}`), FORMS],
  ['constructors', URLENCODED, thousand((n) => `k${n}${'[constructor]'.repeat(32)}=1`), FORMS],
  ['[ over and over in 1000 keys', URLENCODED, thousand(() => '['.repeat(1040)), FORMS],
  ...['[', '{"a":', '[1,', '["a",', '{', '"', '1', '-', 'e', '\\', '"\\u0041', ' ', '[[],', 'null,'].map(
    (unit) => [`JSON: ${unit} over and over`, 'application/json', fill(unit), ['json']],
  ),
  ['JSON: nested lists', 'application/json', nested('[', ']'), ['json']],
  [
    'JSON: nested objects',
    'application/json',
    `${'{"a":'.repeat(SIZE / 6)}1${'}'.repeat(SIZE / 6)}`,
    ['json'],
  ],
  [
    'JSON: nested lists, to be scanned',
    'application/json',
    `{"constructor":1,"a":${nested('[', ']').slice(32, -32)}}`,
    ['json'],
  ],
  [
    'JSON: nested objects, to be scanned',
    'application/json',
    `{"constructor":1,"b":${'{"a":'.repeat(SIZE / 6 - 10)}1${'}'.repeat(SIZE / 6 - 10)}}`,
    ['json'],
  ],
  [
    'JSON: empty lists, to be scanned',
    'application/json',
    `{"constructor":1,"b":[${'[],'.repeat(SIZE / 3 - 20)}1]}`,
    ['json'],
  ],
  [
    'JSON: one-letter keys, to be scanned',
    'application/json',
    `[${'{"constructor":1},'.repeat(SIZE / 18 - 10)}1]`,
    ['json'],
  ],
  [
    'JSON: keys',
    'application/json',
    `{${numbered(90_000, (n) => `"${n.toString(36)}k":1`).join(',')}}`,
    ['json'],
  ],
  [
    'JSON: number keys',
    'application/json',
    `{${numbered(70_000, (n) => `"${n * 60_000}":1`).join(',')}}`,
    ['json'],
  ],
  [
    'JSON: keys that collide where they hash as numbers',
    'application/json',
    `{${numbered(70_000, (n) => `"${n * 16_384}":1`).join(',')}}`,
    ['json'],
  ],
  [
    'JSON: objects of different shapes',
    'application/json',
    `[${numbered(60_000, (n) => `{"k${n.toString(36)}":1}`).join(',')}]`,
    ['json'],
  ],
  ['JSON: one number', 'application/json', '9'.repeat(SIZE), ['json']],
  ['JSON: one fraction', 'application/json', `0.${'0'.repeat(SIZE - 4)}1`, ['json']],
  ['JSON: exponents', 'application/json', `[${'1e-400,'.repeat(SIZE / 7 - 2)}1]`, ['json']],
  [
    'JSON: long numbers',
    'application/json',
    `[${fill(`${'9'.repeat(308)}.${'9'.repeat(400)},`)}1]`.slice(-SIZE).replace(/^[^,]*,/, '['),
    ['json'],
  ],
  ['JSON: escapes', 'application/json', `"${'\\u0041'.repeat(SIZE / 6 - 1)}"`, ['json']],
  ['JSON: __proto__ in text', 'application/json', `["${'\\"__proto__ '.repeat(SIZE / 12 - 3)}"]`, ['json']],
  ['JSON: __proto__ before spaces', 'application/json', `["__proto__"${' '.repeat(SIZE - 20)}]`, ['json']],
  [
    'JSON: __proto__ over and over',
    'application/json',
    `[${'"__proto__" ,'.repeat(SIZE / 13 - 3)}1]`,
    ['json'],
  ],
  ...[
    ['windows-1252', '\x80'],
    ['utf-8', '\xff'],
    ['utf-8', '\xe2\x82'],
    ['utf-8', '\xf0\x9f\x98\x80'],
    ['utf-16', '\xd8\x00'],
    ['utf-16be', '\x20\xac'],
    ['shift_jis', '\x82\xa0'],
    ['shift_jis', '\xff'],
    ['gb18030', '\x81\x30\x81\x30'],
    ['gb18030', '\xff'],
    ['euc-kr', '\xb0\xa1'],
    ['big5', '\xa4\x40'],
    ['iso-2022-jp', '\x1b$B\x1b(B'],
    ['iso-2022-jp', '\x1b'],
    ['iso-8859-15', '\xa4'],
  ].map(([charset, unit]) => [
    `text in ${charset}: ${Buffer.from(unit, 'latin1').toString('hex')}`,
    `text/plain; charset=${charset}`,
    Buffer.from(fill(unit), 'latin1'),
    ['text'],
  ]),
  ['plain bytes', 'application/octet-stream', fill('x'), ['buffer', 'text', 'blob']],
  ['1000 fields', `${MULTIPART}xx`, parts(1000, 'xx', ''), ['formData']],
  ['1000 fields of 1 KB', `${MULTIPART}xx`, parts(1000, 'xx', '', 'x'.repeat(980)), ['formData']],
  [
    '1000 fields in shift_jis',
    `${MULTIPART}xx`,
    parts(1000, 'xx', '\r\nContent-Type: text/plain; charset=shift_jis', 'x'),
    ['formData'],
  ],
  [
    '1000 fields in windows-1252',
    `${MULTIPART}xx`,
    parts(1000, 'xx', '\r\nContent-Type: text/plain; charset=windows-1252', '\x80'.repeat(300)),
    ['formData'],
  ],
  ['1000 files', `${MULTIPART}xx`, parts(1000, 'xx', '; filename="x"'), ['formData']],
  [
    '1000 files of 1 KB',
    `${MULTIPART}xx`,
    parts(1000, 'xx', '; filename="x"', 'x'.repeat(960)),
    ['formData'],
  ],
  [
    '1000 files with filename*',
    `${MULTIPART}xx`,
    parts(1000, 'xx', `; filename*=utf-8''${'%e2'.repeat(300)}`),
    ['formData'],
  ],
  [
    '1000 files in base64',
    `${MULTIPART}xx`,
    parts(1000, 'xx', '; filename="x"\r\nContent-Transfer-Encoding: base64', '='.repeat(900)),
    ['formData'],
  ],
  ['parts without a head', `${MULTIPART}xx`, `--xx${fill('\r\n\r\n\r\n--xx')}`, ['formData']],
  ['boundaries', `${MULTIPART}xx`, `--xx${fill('\r\n--xx')}`, ['formData']],
  [
    'almost boundaries',
    `${MULTIPART}xx`,
    `${part('xx', '', fill('\r\n--x').slice(200))}--xx--`,
    ['formData'],
  ],
  [
    'a long boundary in its letter',
    `${MULTIPART}${LONG}`,
    `${part(LONG, '', fill('a').slice(300))}--${LONG}--`,
    ['formData'],
  ],
  [
    'almost a long boundary',
    `${MULTIPART}${LONG}`,
    `${part(LONG, '', fill(`\r\n--${'a'.repeat(69)}`).slice(300))}--${LONG}--`,
    ['formData'],
  ],
  [
    'almost a long boundary, from behind',
    `${MULTIPART}${LONG}`,
    `${part(LONG, '', fill(`\n--${LONG}`).slice(300))}--${LONG}--`,
    ['formData'],
  ],
  [
    'dashes with a boundary of dashes',
    `${MULTIPART}${'-'.repeat(70)}`,
    `${part('-'.repeat(70), '', fill('-').slice(300))}--${'-'.repeat(70)}--`,
    ['formData'],
  ],
  ['line ends in a preamble', `${MULTIPART}xx`, fill('\r\n'), ['formData']],
  ['padding behind a boundary', `${MULTIPART}xx`, `--xx${fill(' ').slice(4)}`, ['formData']],
  ...[
    ['semicolons', ';'],
    ['lone words', ';a'],
    ['parameters', ';a=b'],
    ['open quotes', ';a="'],
    ['escaped quotes', ';a="\\"'],
    ['backslashes', '\\'],
    ['folds', '\r\n\t'],
    ['quoted parameters', ';a="b"'],
    ['equals signs', '='],
    ['spaces', ' '],
    ['lines', '\r\na:b'],
    ['colons', ':'],
    ['quotes', '"'],
    ['escapes', '%22'],
  ].flatMap(([name, unit]) => {
    const most = unit.repeat(Math.floor(16_000 / unit.length))
    return [
      [`heads of ${name}`, `${MULTIPART}xx`, parts(64, 'xx', most), ['formData']],
      [`a name of ${name}`, `${MULTIPART}xx`, parts(64, 'xx', `; filename="${most}`), ['formData']],
    ]
  }),
  ['a head too large', `${MULTIPART}xx`, parts(1, 'xx', 'x'.repeat(SIZE - 200)), ['formData']],
  [
    'Content-Type of semicolons',
    `${MULTIPART}xx${';'.repeat(8000)}`,
    parts(1000, 'xx', ''),
    ['formData', 'text'],
  ],
  [
    'Content-Type of quotes',
    `${MULTIPART}xx${';a="\\"'.repeat(1500)}`,
    parts(1000, 'xx', ''),
    ['formData', 'text'],
  ],
]

/** The ways a body is sent: the smallest of the codings counts as a small one. */
const codings = {
  identity: (bytes) => bytes,
  gzip: (bytes) => zlib.gzipSync(bytes, { level: 9 }),
  br: (bytes) => zlib.brotliCompressSync(bytes, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 5 } }),
  deflate: (bytes) => zlib.deflateRawSync(bytes, { level: 9 }),
  ...(zlib.zstdCompressSync && { zstd: (bytes) => zlib.zstdCompressSync(bytes) }),
}

const keep = bodyCache()
let accessor = 'buffer'
let measured
const server = http.createServer((req, res) => {
  keep(req, res, () => void watchReading(req).finally(() => res.end()))
})
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const agent = new http.Agent({ keepAlive: false })

async function watchReading(req) {
  const watch = watchLoop()
  const cpu = process.cpuUsage()
  const result = await req.bodyCache[accessor]().then(
    () => 'read',
    (error) => `${error.status} ${error.message}`,
  )
  const { user, system } = process.cpuUsage(cpu)
  measured = { stall: await watch.end(), cpu: (user + system) / 1000, result }
}

/** Notes the longest time between two turns of the event loop. */
function watchLoop() {
  let last = performance.now()
  let stall = 0
  let isOver = false
  const turn = (resolve) => {
    const now = performance.now()
    stall = Math.max(stall, now - last)
    last = now
    if (isOver) resolve?.()
    else handle = setImmediate(turn, resolve)
  }
  let handle = setImmediate(turn)
  return {
    end: () =>
      new Promise((resolve) => {
        clearImmediate(handle)
        isOver = true
        setImmediate(() => turn(() => resolve(stall)))
      }),
  }
}

function send(bytes, headers) {
  return new Promise((resolve, reject) => {
    const request = http.request({
      port: server.address().port,
      method: 'POST',
      agent,
      headers: { ...headers, 'content-length': bytes.length },
    })
    request.on('response', (response) => response.resume().on('end', resolve))
    request.on('error', reject)
    request.end(bytes)
  })
}

async function measure(name, bytes, headers) {
  accessor = name
  let best
  for (let round = 0; round < ROUNDS; round += 1) {
    await send(bytes, headers)
    if (best === undefined || measured.stall < best.stall) best = measured
  }
  return best
}

const wanted = process.argv.slice(2)
const rows = []
for (const [name, type, body, accessors] of bodies) {
  if (wanted.length > 0 && !wanted.some((word) => name.includes(word))) continue
  const bytes = Buffer.from(body, typeof body === 'string' && name.includes('latin1') ? 'latin1' : undefined)
  for (const [coding, encode] of Object.entries(codings)) {
    if (coding !== 'identity' && coding !== 'gzip' && !name.startsWith('plain') && !name.startsWith('+ over'))
      continue
    const sent = encode(bytes.subarray(0, SIZE))
    const headers = { 'content-type': type, ...(coding !== 'identity' && { 'content-encoding': coding }) }
    for (const each of accessors) {
      const { stall, cpu, result } = await measure(each, sent, headers)
      rows.push({ name, each, coding, wire: sent.length, stall, cpu, result })
    }
  }
}
server.close()

rows.sort((one, other) => other.stall - one.stall)
const tooSlow = rows.filter(
  ({ wire, stall, cpu }) => Math.min(stall, cpu) > SLACK * (wire <= SMALL ? MAX_SMALL_MS : MAX_MS),
)
const shown = process.env.SLUICEWAY_ALL ? rows : rows.slice(0, 25)
console.log(
  `Node ${process.version}, ${rows.length} bodies, fastest of ${ROUNDS}; the slowest ${shown.length}:`,
)
for (const { name, each, coding, wire, stall, cpu, result } of shown) {
  const times = `${stall.toFixed(1).padStart(8)} ms stall ${cpu.toFixed(1).padStart(8)} ms CPU`
  console.log(
    `${times} ${String(wire).padStart(8)} B ${coding.padEnd(8)} ${each.padEnd(10)} ${name}: ${result.slice(0, 70)}`,
  )
}
for (const { name, each, coding, stall } of tooSlow)
  console.log(`TOO SLOW: ${each}() ${coding} ${name}: ${stall.toFixed(1)} ms`)
process.exitCode = tooSlow.length > 0 ? 1 : 0
