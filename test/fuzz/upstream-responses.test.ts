import http from 'node:http'
import { Duplex } from 'node:stream'
import { expect } from 'chai'
import * as fc from 'fast-check'
import { type ParsedResponse, parsed } from '../support/http1/parsed-response.js'
import { holds } from './property.js'
import { type Case, responseCases } from './response-cases.js'
import { split } from './wire.js'

/** An accepted response, as it was read. */
interface Taken {
  readonly information: readonly { status: number; lines: string[] }[]
  readonly status: number
  readonly reason: string
  readonly lines: readonly string[]
  readonly body: string
  readonly trailers: readonly string[]
}

/** llhttp 8, of Node 20.19, accepts white space before colons and CR or LF as the end of a line, and waits for the body of a 204. */
const isLenient = Number.parseInt(process.versions['llhttp'] ?? '', 10) < 9

interface Difference {
  readonly why: string
  readonly applies: (raw: string) => boolean
}

// oxlint-disable no-control-regex -- they are what this is about

/** Responses that the parser refuses and Node accepts. */
const stricter: readonly Difference[] = [
  {
    why: 'RFC 9112 §2.2: empty lines in front are for servers to skip',
    applies: (raw) => /(?:^|\r\n\r\n)[\r\n]+HTTP/.test(raw),
  },
  {
    why: 'RFC 9112 §2.3: HTTP/1.0 and 1.1 are what this is',
    applies: (raw) => /HTTP\/(?:0\.9|2\.0)/.test(raw),
  },
  { why: 'RFC 9110 §15: a status is 100 or more', applies: (raw) => /HTTP\/\d\.\d 0/.test(raw) },
  {
    why: 'RFC 9112 §4: no control characters in a reason',
    applies: (raw) => /HTTP\/1\.[01] \d\d\d[^\r\n]*[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/.test(raw),
  },
  {
    why: 'RFC 9112 §4: CR LF ends a status line',
    applies: (raw) => /HTTP\/1\.[01] \d\d\d[^\r\n]*(?:\r(?!\n)|\n)/.test(raw),
  },
  {
    why: 'RFC 9112 §6.1, §7: no coding is known but chunked',
    applies: (raw) => /transfer-encoding:(?![\t ]*chunked[\t ]*\r\n)/i.test(raw),
  },
  {
    why: 'RFC 9112 §6.1: a body is chunked once',
    applies: (raw) => /transfer-encoding[^]*transfer-encoding/i.test(raw),
  },
  {
    why: 'RFC 9112 §6.1: chunks are no part of HTTP/1.0',
    applies: (raw) => /HTTP\/1\.0[^]*transfer-encoding/i.test(raw),
  },
  { why: 'RFC 9112 §5.2: a folded line may be refused', applies: (raw) => /\r\n[\t ]/.test(raw) },
  { why: 'RFC 9112 §7.1: no number of more than 16 digits', applies: (raw) => /[\da-f]{17}/i.test(raw) },
]

/** Responses that the parser accepts and Node refuses. */
const laxer: readonly Difference[] = [
  {
    why: 'RFC 9110 §5.5: a tab behind a value is no part of it',
    applies: (raw) => /content-length:[^\r\n]*\t/i.test(raw),
  },
  {
    why: 'RFC 9112 §7.1.1: unrecognized extensions are ignored',
    applies: (raw) => /\r\n[\da-f]+;/i.test(raw),
  },
]

/** The result of the parser; undefined if it refuses the response, or has not seen its end. */
function ours(one: Case): ParsedResponse | undefined {
  try {
    const pieces = split(Buffer.from(one.raw, 'latin1'), one.pieces)
    const response = parsed(pieces, { method: one.method, ends: true })
    return response.isOver ? response : undefined
  } catch (error) {
    if ((error as Error).name !== 'MalformedResponse') throw error
    return undefined
  }
}

function taken({ information, status, reason, lines, body: read, trailers }: ParsedResponse): object {
  return { information, status, reason, lines, body: read, trailers }
}

/** The result of Node's client. */
function nodes({ method, raw, pieces }: Case): Promise<Taken | undefined> {
  return new Promise((resolve) => {
    const connection = new Duplex({ read() {}, write: (_chunk, _encoding, written) => written() })
    const information: Taken['information'][number][] = []
    const request = http.request({ method, createConnection: () => connection })
    request.on('continue', () => information.push({ status: 100, lines: [] }))
    request.on('information', (info) => {
      if (info.statusCode !== 100) information.push({ status: info.statusCode, lines: info.rawHeaders })
    })
    request.on('error', () => resolve(undefined)).on('upgrade', () => resolve(undefined))
    request.on('response', (response) => {
      let read = ''
      response.on('data', (data: Buffer) => {
        read += data.toString('latin1')
      })
      response.on('error', () => resolve(undefined))
      response.on('close', () => {
        const { statusCode, statusMessage, rawHeaders, rawTrailers, complete } = response
        const head = {
          status: statusCode!,
          reason: statusMessage!,
          lines: rawHeaders,
          trailers: rawTrailers,
        }
        resolve(complete ? { ...head, information, body: read } : undefined)
      })
    })
    request.end()
    for (const piece of split(Buffer.from(raw, 'latin1'), pieces)) connection.push(piece)
    connection.push(null)
  })
}

function explained(differences: readonly Difference[], raw: string): boolean {
  return differences.some(({ applies }) => applies(raw))
}

async function check(one: Case): Promise<void> {
  const mine = ours(one)
  const theirs = await nodes(one)
  // What Node makes of bytes behind a response depends on when they come.
  if (mine !== undefined && mine.left > 0) return
  if (theirs === undefined && explained(laxer, one.raw)) return
  if (mine === undefined && explained(stricter, one.raw)) return
  expect(mine && taken(mine)).to.deep.equal(theirs)
}

describe('the response parser compared with Node, fuzzed', () => {
  it('accepts and refuses the same responses, except for the differences listed here', async function () {
    this.timeout(0)
    if (isLenient) this.skip()
    await holds(fc.asyncProperty(responseCases, check), { runs: 5000, milliseconds: 1000 })
  })
})
