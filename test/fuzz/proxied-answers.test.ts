import { expect } from 'chai'
import * as fc from 'fast-check'
import { passthroughProxy } from 'sluiceway'
import { RawClient, type RawResponse } from '../support/clients/raw-client.js'
import { expressVersions } from '../support/express/express-versions.js'
import { answer, scriptedUpstream } from '../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { holds } from './property.js'
import { Ends } from './upstream-ends.js'
import { bodyLength, bodyOf, type Cuts, cuts, framed, type Framing, framing, writeInParts } from './wire.js'

type Line = readonly [name: string, value: string]

interface Case {
  readonly method: 'GET' | 'HEAD'
  readonly version: '1.0' | '1.1'
  readonly interim: readonly Interim[]
  readonly status: number
  /** Where a body ends: at its length, behind its last chunk, or with the connection. */
  readonly end: 'length' | 'chunks' | 'connection'
  readonly length: number
  readonly framing: Framing
  readonly trailers: readonly Line[]
  readonly writes: Cuts
}

interface Interim {
  readonly status: 102 | 103
  readonly links: readonly string[]
}

/** Lines that may follow a body, and lines that may not (RFC 9110 §6.5.1). */
const trailer: fc.Arbitrary<Line> = fc.tuple(
  fc.constantFrom(
    'X-Sum',
    'x-sum',
    'ETag',
    '__proto__',
    'Server-Timing',
    'Set-Cookie',
    'Host',
    'Keep-Alive',
    'Trailer',
  ),
  fc.constantFrom('1', '', 'a, b', '"\xe9"', 'app;dur=53'),
)
const notTrailers = new Set(['set-cookie', 'host', 'keep-alive', 'trailer'])

const interim: fc.Arbitrary<Interim> = fc.record({
  status: fc.constantFrom(102, 103),
  links: fc.array(fc.constantFrom('</a.css>; rel=preload', '</b.js>; rel=preload; as=script'), {
    maxLength: 2,
  }),
})

const cases: fc.Arbitrary<Case> = fc.record({
  method: fc.constantFrom('GET', 'GET', 'GET', 'HEAD'),
  version: fc.constantFrom('1.1', '1.1', '1.0'),
  interim: fc.array(interim, { maxLength: 3 }),
  status: fc.constantFrom(200, 200, 206, 404, 500, 204, 304),
  end: fc.constantFrom('length', 'chunks', 'connection'),
  length: bodyLength,
  framing,
  trailers: fc.array(trailer, { maxLength: 4 }),
  writes: cuts,
})

describe('passthroughProxy and answers, fuzzed', () => {
  afterEach(closeServers)

  for (const { name, express } of expressVersions) {
    it(`passes on interim responses, every body and its trailers, and serves the next request (${name})`, async function () {
      this.timeout(0)
      const upstream = await scriptedUpstream()
      const { port } = await serve(express().use(passthroughProxy(upstream.url)))
      const ends = new Ends(upstream)
      const check = async (one: Case): Promise<void> => {
        ends.forgetUnfinished()
        const client = await RawClient.connect(port)
        client.write(`${one.method} / HTTP/${one.version}\r\nHost: test\r\n\r\n`)
        const connection = await ends.next()
        await connection.untilText('\r\n\r\n')
        await writeInParts(connection, wireOf(one), one.writes)
        if (endsWithConnection(one)) connection.socket.end()
        const { hints, response } = await readAnswer(client, one)
        expect(hints).to.deep.equal(one.version === '1.0' ? [] : expectedHints(one))
        expect(response.status).to.equal(one.status)
        expect(response.body.equals(hasBody(one) ? bodyOf(one.length) : Buffer.alloc(0))).to.equal(true)
        expect(response.trailers).to.deep.equal(expectedTrailers(one))
        expect(response.headers['content-length']?.[0]).to.equal(expectedLength(one))
        if (one.version === '1.0') await client.closed()
        else await expectNext(client, ends)
        client.destroy()
        ends.done()
      }
      await holds(fc.asyncProperty(cases, check), { runs: 150, milliseconds: 1000 })
    })
  }
})

function hasBody({ method, status }: Case): boolean {
  return method !== 'HEAD' && status !== 204 && status !== 304
}

function endsWithConnection(one: Case): boolean {
  return one.end === 'connection' && hasBody(one)
}

/** The answer as the upstream writes it: with a body, or with the framing of a body that it does not have. */
function wireOf(one: Case): Buffer {
  const { line, bytes } = framed(bodyOf(one.length), { ...one.framing, chunked: one.end === 'chunks' })
  const hasFraming = one.end !== 'connection' && one.status !== 204
  const head = [
    ...one.interim.map(interimHead),
    `HTTP/1.1 ${one.status} Any\r\n`,
    hasFraming ? `${line}\r\n` : '',
    '\r\n',
  ]
  const start = Buffer.from(head.join(''))
  if (!hasBody(one)) return start
  // The empty line that ends the chunks stands behind the trailers.
  const rest =
    one.end === 'chunks'
      ? Buffer.concat([bytes.subarray(0, -2), trailerLines(one), Buffer.from('\r\n')])
      : bytes
  return Buffer.concat([start, rest])
}

function interimHead({ status, links }: Interim): string {
  return [`HTTP/1.1 ${status} Soon`, ...links.map((link) => `Link: ${link}`), '', ''].join('\r\n')
}

function trailerLines({ trailers }: Case): Buffer {
  return Buffer.from(trailers.map(([name, value]) => `${name}: ${value}\r\n`).join(''), 'latin1')
}

/** Reads the client's side: the links of each interim response, and the answer after them. */
async function readAnswer(
  client: RawClient,
  { method }: Case,
): Promise<{ hints: string[]; response: RawResponse }> {
  const hints: string[] = []
  for (;;) {
    const response = await client.response({ head: method === 'HEAD' })
    if (response.status >= 200) return { hints, response }
    hints.push(`${response.status} ${(response.headers['link'] ?? []).join('|')}`)
  }
}

/** Node sends no 103 without a link, and joins its links. */
function expectedHints({ interim: responses }: Case): string[] {
  const sent = responses.filter(({ status, links }) => status === 102 || links.length > 0)
  return sent.map(({ status, links }) => `${status} ${status === 103 ? links.join(', ') : ''}`)
}

function expectedTrailers(one: Case): string[] {
  if (!hasBody(one) || one.end !== 'chunks' || one.version === '1.0') return []
  const kept = one.trailers.filter(([name]) => !notTrailers.has(name.toLowerCase()))
  return kept.map(([name, value]) => `${name}: ${value}`)
}

function expectedLength(one: Case): string | undefined {
  return one.end === 'length' && one.status !== 204 ? String(one.length) : undefined
}

async function expectNext(client: RawClient, ends: Ends): Promise<void> {
  ends.done()
  client.request('GET', '/next')
  const connection = await ends.next()
  expect(await connection.untilText('\r\n\r\n')).to.match(/^GET \/next /)
  connection.write(answer('next'))
  expect((await client.response()).body.toString()).to.equal('next')
}
