import { createServer } from 'node:http'
import { expect } from 'chai'
import express from 'express'
import * as fc from 'fast-check'
import { passthroughProxy } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { closeServers, listen, serve } from '../support/servers/servers.js'
import { lenientUpstream } from './lenient-upstream.js'
import { holds } from './property.js'
import { type Cuts, cuts, writeInParts } from './wire.js'

/** A message that two parsers may read differently. */
interface Ambiguous {
  readonly method: string
  readonly version: string
  readonly lines: readonly string[]
  readonly endOfLine: string
  readonly body: string
  readonly writes: Cuts
}

const HIDDEN = 'GET /hidden HTTP/1.1\r\nHost: test\r\n\r\n'

const codings = [
  'chunked',
  'Chunked',
  'xchunked',
  'chunked, identity',
  'identity, chunked',
  'gzip, chunked',
  '"chunked"',
]
const blanks = ['', ' ', '\t', '\x0b', '\x0c', '\xa0', '\0', '\r\n ', '\n', '\r']
const blank = fc.oneof({ weight: 5, arbitrary: fc.constantFrom('', ' ') }, fc.constantFrom(...blanks))

const codingLine = fc
  .tuple(
    fc.constantFrom(
      'Transfer-Encoding',
      'transfer-encoding',
      'Transfer_Encoding',
      ' Transfer-Encoding',
      'X\nTransfer-Encoding',
    ),
    blank,
    blank,
    fc.oneof({ weight: 3, arbitrary: fc.constant('chunked') }, fc.constantFrom(...codings)),
    blank,
  )
  .map(([name, before, after, coding, end]) => `${name}${before}:${after}${coding}${end}`)

const lengthLine = fc
  .tuple(
    fc.constantFrom('Content-Length', 'content-length', 'Content_Length', 'X\rContent-Length'),
    blank,
    blank,
    fc.oneof(
      fc.nat(80).map(String),
      fc.constant(String(HIDDEN.length)),
      fc.constant(String(HIDDEN.length)),
      fc.constantFrom('0', '+5', '-1', '0x10', '5, 5', '5;', '05', '1e1', '', '18446744073709551621'),
    ),
  )
  .map(([name, before, after, length]) => `${name}${before}:${after}${length}`)

const otherLine = fc.constantFrom(
  'Connection: content-length',
  'Connection: keep-alive, transfer-encoding',
  'Expect: 100-continue',
  'Upgrade: h2c',
  'X: a\r\n folded: b',
  'TE: trailers',
  'Trailer: content-length',
  'Host: other',
)

const chunk = fc
  .tuple(
    fc.constantFrom('', '', '0', '0x', '+', ' '),
    fc.constantFrom('', '', ';a=b', ';a\n', ' ', ';"\r\n', '\t;'),
    fc.constantFrom('\r\n', '\r\n', '\n', '\r'),
    fc.constantFrom('\r\n', '\r\n', '', '\n', 'xx'),
  )
  .map(
    ([before, extension, end, behind]) =>
      `${before}${HIDDEN.length.toString(16)}${extension}${end}${HIDDEN}${behind}`,
  )

const body = fc.oneof(
  fc.constantFrom(
    '',
    HIDDEN,
    `0\r\n\r\n${HIDDEN}`,
    `0\n\n${HIDDEN}`,
    `0\r\nX: y\r\n\r\n${HIDDEN}`,
    `0\r\nContent-Length: 5\r\n\r\n`,
  ),
  fc
    .tuple(chunk, fc.constantFrom('0\r\n\r\n', `0\r\n\r\n${HIDDEN}`, '0\r\n', '00;a\r\n\r\n', ''))
    .map((parts) => parts.join('')),
)

const ambiguous: fc.Arbitrary<Ambiguous> = fc.record({
  method: fc.constantFrom('POST', 'GET', 'HEAD', 'DELETE', 'OPTIONS', 'PUT'),
  version: fc.constantFrom('HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0'),
  lines: fc
    .tuple(
      fc.array(codingLine, { maxLength: 2 }),
      fc.array(lengthLine, { maxLength: 2 }),
      fc.array(otherLine, { maxLength: 1 }),
    )
    .chain((lines) => fc.shuffledSubarray(lines.flat(), { minLength: lines.flat().length })),
  endOfLine: fc.oneof({ weight: 8, arbitrary: fc.constant('\r\n') }, fc.constantFrom('\n', '\r')),
  body,
  writes: cuts.map(({ at, turns }) => ({ at: at.slice(0, 3), turns: turns % 2 })),
})

/** The servers behind the proxy: two that find requests anywhere, and Node's, which reports errors. */
async function upstreams(): Promise<Record<string, { url: string; seen: string[]; faults: unknown[] }>> {
  const seen: string[] = []
  const faults: unknown[] = []
  const strict = createServer((req, res) => {
    const start = `${req.method} ${req.url} HTTP/1.1`
    seen.push(start)
    req.resume().on('end', () => res.end(start))
  }).on('clientError', (error: Error & { code?: string }, socket) => {
    // The proxy cuts the connection of an upload that its client has not ended.
    if (error.code !== 'ECONNRESET' && error.code !== 'HPE_INVALID_EOF_STATE') faults.push(error)
    socket.destroy()
  })
  const coding = await lenientUpstream({ prefers: 'transfer-encoding', length: 'first' })
  const length = await lenientUpstream({ prefers: 'content-length', length: 'last' })
  return {
    strict: { url: (await listen(strict)).url, seen, faults },
    'by coding': { url: coding.url, seen: coding.seen, faults: [] },
    'by length': { url: length.url, seen: length.seen, faults: [] },
  }
}

describe('passthroughProxy and requests that can be read in two ways', () => {
  afterEach(closeServers)

  it('sends on exactly the requests that Node has found, and gives each answer to the client that asked', async function () {
    this.timeout(0)
    const behind = await Promise.all(
      Object.entries(await upstreams()).map(async ([name, upstream]) => {
        const found: string[] = []
        const app = express().set('env', 'test')
        app.use((req, _res, next) => {
          found.push(`${req.method} ${req.url} HTTP/1.1`)
          next()
        })
        const { port } = await serve(app.use(passthroughProxy(upstream.url)))
        return { name, upstream, found, port }
      }),
    )
    let count = 0
    const check = async (one: Ambiguous): Promise<void> => {
      count += 1
      const path = `/asked/${count}`
      await Promise.all(
        behind.map(async ({ name, upstream, found, port }) => {
          const attacker = await RawClient.connect(port)
          const start = `${one.method} ${path} ${one.version}`
          const head = [start, 'Host: test', ...one.lines].join(one.endOfLine) + one.endOfLine.repeat(2)
          await writeInParts(attacker, Buffer.from(head + one.body, 'latin1'), one.writes)
          attacker.socket.end()
          const victim = await RawClient.connect(port)
          victim.request('GET', `/victim/${count}`)
          expect(String((await victim.response()).body), name).to.equal(`GET /victim/${count} HTTP/1.1`)
          victim.destroy()
          await attacker.closed()
          const answers =
            attacker.pending.toString('latin1').match(/(?<=\r\n\r\n)[A-Z]+ \/\S* HTTP\/1.1/g) ?? []
          // In the order in which Node has found them; what it refused, or was cut, has none.
          const asked = found.filter((line) => !line.includes('/victim/'))
          expect(isPartOf(answers, asked), `${name}: ${answers.join()} for ${asked.join()}`).to.equal(true)
          expect(
            isPartOf(upstream.seen.toSorted(), found.toSorted()),
            `${name}: ${upstream.seen.join()}`,
          ).to.equal(true)
          expect(upstream.faults).to.deep.equal([])
          upstream.seen.length = 0
          found.length = 0
        }),
      )
    }
    await holds(fc.asyncProperty(ambiguous, check), { runs: 400, milliseconds: 2500 })
  })
})

/** Tells whether all of `part` stand in `all`, in their order. */
function isPartOf(part: readonly string[], all: readonly string[]): boolean {
  let from = 0
  return part.every((line) => {
    from = all.indexOf(line, from) + 1
    return from > 0
  })
}
