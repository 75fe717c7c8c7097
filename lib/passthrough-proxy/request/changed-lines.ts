import type { IncomingMessage } from 'node:http'

import { sluicewayError } from '../../shared/errors.js'
import { joinLines } from '../../shared/node-internals.js'
import { isFramedByConnection, isHttp2, isMadeByHost } from '../../shared/request-facts.js'
import { loopHeader } from './loop.js'

/** The lines of a head as the application has left them. */
export interface GivenLines {
  readonly lines: readonly string[]
  /** The names that the application has set, lower-cased. No client can have them stripped. */
  readonly setHere: ReadonlySet<string>
}

const NONE: ReadonlySet<string> = new Set()

/** What frames the body. The connection decides; only a host may have no other place for it than `req.headers`. */
const framing: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding'])

/** What only the client says, of its own connection and of where its request has been. */
const clients: ReadonlySet<string> = new Set(['connection', loopHeader])

/**
 * The lines of a request, with what the application has changed in `req.headers`. Lines that it has not changed keep
 * case, order and duplicates.
 */
export function linesOf(req: IncomingMessage): GivenLines {
  if (isMadeByHost(req)) return { lines: linesIn(req.headers), setHere: NONE }
  if (isUnchanged(req)) return { lines: req.rawHeaders, setHere: NONE }
  const joined = joinLines(req, req.rawHeaders)
  // The crumbs of a cookie have to be joined (RFC 9113 §8.2.3). Where Node joins other lines than over HTTP/1, so it stays.
  const sent = isHttp2(req) ? linesIn(joined) : req.rawHeaders
  const before = valuesIn(joined)
  const isFramed = isFramedByConnection(req) || [...framing].some((name) => before.has(name))
  const isFixed = (name: string): boolean => clients.has(name) || (isFramed && framing.has(name))
  return changedLines(sent, { before, now: valuesIn(req.headers), isFixed })
}

/** The usual case, told at the least cost: each name has one line, and Node's object has the same names in the same order. */
function isUnchanged({ rawHeaders, headers }: IncomingMessage): boolean {
  const names = Object.keys(headers)
  if (names.length * 2 !== rawHeaders.length) return false
  for (let i = 0; i < names.length; i += 1) {
    const name = names[i] as string
    if (headers[name] !== rawHeaders[2 * i + 1] || name !== (rawHeaders[2 * i] as string).toLowerCase())
      return false
  }
  return true
}

/** A name as it is written, and its values: one line for each. */
interface Header {
  readonly name: string
  readonly values: readonly string[]
}

/** The headers in an object, by lower-cased name. Of names that differ in case alone the last counts, as in `http.request`. */
function valuesIn(headers: Readonly<Record<string, unknown>>): Map<string, Header> {
  const found = new Map<string, Header>()
  for (const name of Object.keys(headers)) {
    const values = valuesOf(name, headers[name])
    found.set(name.toLowerCase(), { name, values })
  }
  return found
}

function valuesOf(name: string, value: unknown): string[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) return [textOf(name, value)]
  const values = value.map((each) => textOf(name, each))
  // RFC 6265 §5.4: one line of cookies.
  return name.toLowerCase() === 'cookie' && values.length > 0 ? [values.join('; ')] : values
}

function textOf(name: string, value: unknown): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean')
    return String(value)
  throw unsendable(name)
}

function linesIn(headers: Readonly<Record<string, unknown>>): string[] {
  return [...valuesIn(headers).values()].flatMap(({ name, values }) =>
    values.flatMap((value) => [name, value]),
  )
}

interface Changes {
  readonly before: ReadonlyMap<string, Header>
  readonly now: ReadonlyMap<string, Header>
  /** Tells whether a name is none that the application can change. */
  readonly isFixed: (name: string) => boolean
}

/** Puts the changes in the place of what was `sent`: a changed name stands where it stood, a new one at the end. */
function changedLines(sent: readonly string[], { before, now, isFixed }: Changes): GivenLines {
  const lines: string[] = []
  const setHere = new Set<string>()
  for (let i = 0; i < sent.length; i += 2) {
    const written = sent[i] as string
    const name = written.toLowerCase()
    if (isFixed(name) || isSame(before.get(name), now.get(name))) lines.push(written, sent[i + 1] as string)
    else if (!setHere.has(name)) addLines({ lines, setHere }, written, now.get(name))
  }
  for (const [name, header] of now) {
    if (!before.has(name) && !isFixed(name)) addLines({ lines, setHere }, header.name, header)
  }
  return { lines, setHere }
}

function isSame(before: Header | undefined, now: Header | undefined): boolean {
  const [had, has] = [before?.values ?? [], now?.values ?? []]
  return had.length === has.length && had.every((value, index) => value === has[index])
}

interface ChangedLines {
  readonly lines: string[]
  readonly setHere: Set<string>
}

function addLines({ lines, setHere }: ChangedLines, name: string, header: Header | undefined): void {
  setHere.add(name.toLowerCase())
  for (const value of header?.values ?? []) {
    if (!NAME.test(name) || BAD_VALUE.test(value)) throw unsendable(name)
    lines.push(name, value)
  }
}

/** RFC 9110 §5.1, and the pseudo-headers of HTTP/2, some of which Node changes by itself where `req.method` is set. */
const NAME = /^:?[\w!#$%&'*+.^`|~-]+$/

/** RFC 9110 §5.5: one character for each byte, and no line breaks. */
// oxlint-disable-next-line no-control-regex
const BAD_VALUE = /[^\t\x20-\x7e\x80-\xff]/

function unsendable(name: string): Error {
  const shown = JSON.stringify(name.toLowerCase())
  return sluicewayError('ERR_SLUICEWAY_PROXY_HOOK', {
    message: `passthroughProxy: the application has set a header in req.headers that cannot be sent: ${shown}`,
  })
}
