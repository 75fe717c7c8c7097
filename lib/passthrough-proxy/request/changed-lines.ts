import type { IncomingMessage } from 'node:http'
import { isFramedByConnection, isHttp2, isMadeByHost } from '../../node/request/facts.js'
import { joinLines } from '../../node/request/header-lines.js'
import { sluicewayError } from '../../shared/errors.js'
import { framingNames } from '../../shared/framing-names.js'
import { headerText } from '../headers/header-text.js'
import { loopHeader } from './loop.js'

/** The lines of a head as the application has left them. */
export interface GivenLines {
  readonly lines: readonly string[]
  /** The names that the application has set, lower-cased. No client can have them removed. */
  readonly setHere: ReadonlySet<string>
}

const NONE: ReadonlySet<string> = new Set()

/** The lines that only the client may set: they describe its connection, and where its request has been. */
const clients: ReadonlySet<string> = new Set(['connection', loopHeader])

/** No application changes how a connection has framed a body. Only a host may frame one in `req.headers` alone. */
const fixedIfFramed: ReadonlySet<string> = new Set([...clients, ...framingNames])

/**
 * Returns the lines of a request, with the changes that the application has made in `req.headers`. Unchanged lines
 * keep their case, order and duplicates.
 */
export function linesOf(req: IncomingMessage): GivenLines {
  if (isMadeByHost(req)) return { lines: linesIn(req.headers), setHere: NONE }
  if (isUnchanged(req)) return { lines: req.rawHeaders, setHere: NONE }
  const before = joinLines(req, req.rawHeaders)
  // The parts of a cookie have to be joined (RFC 9113 §8.2.3). Other lines that Node joins over HTTP/2 only stay
  // joined.
  const sent = isHttp2(req) ? linesIn(before) : req.rawHeaders
  const isFramed = isFramedByConnection(req) || framingNames.some((name) => before[name] !== undefined)
  return changedLines(sent, { before, now: req.headers, fixed: isFramed ? fixedIfFramed : clients })
}

/**
 * Recognizes the usual case cheaply: each name has one line, and Node's object has the same names in the same order.
 */
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

type Headers = Readonly<Record<string, unknown>>

function linesIn(headers: Headers): string[] {
  return [...namesIn(headers).values()].flatMap((name) =>
    valuesOf(name, headers[name]).flatMap((value) => [name, value]),
  )
}

/**
 * Returns the names in an object by their lower-cased form. Of names that differ only in case, the last counts, as in
 * `http.request`.
 */
function namesIn(headers: Headers): Map<string, string> {
  const found = new Map<string, string>()
  for (const name of Object.keys(headers)) found.set(name.toLowerCase(), name)
  return found
}

/** Returns the values of a header, one for each line. */
function valuesOf(name: string, value: unknown): string[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) return [textOf(name, value)]
  const values = value.map((each) => textOf(name, each))
  // RFC 6265 §5.4 allows one line of cookies.
  return name.toLowerCase() === 'cookie' && values.length > 0 ? [values.join('; ')] : values
}

function textOf(name: string, value: unknown): string {
  const text = headerText(value)
  if (text === undefined) throw unsendable(name)
  return text
}

interface Changes {
  readonly before: Headers
  readonly now: Headers
  /** The names that no application can change. */
  readonly fixed: ReadonlySet<string>
}

/** Applies the changes to the lines that were `sent`: a changed name keeps its place, a new one comes at the end. */
function changedLines(sent: readonly string[], { before, now, fixed }: Changes): GivenLines {
  const lines: string[] = []
  const setHere = new Set<string>()
  const names = namesIn(now)
  // Each name is compared once: a client may repeat `Set-Cookie`, whose value is a list, a thousand times.
  const kept = new Set(fixed)
  for (let i = 0; i < sent.length; i += 2) {
    const written = sent[i] as string
    const name = written.toLowerCase()
    if (setHere.has(name)) continue
    const value = now[names.get(name) ?? '']
    if (kept.has(name) || isSame(name, ownValue(before, name), value)) {
      kept.add(name)
      lines.push(written, sent[i + 1] as string)
    } else addLines({ lines, setHere }, written, value)
  }
  for (const [name, written] of names) {
    if (!Object.hasOwn(before, name) && !fixed.has(name)) addLines({ lines, setHere }, written, now[written])
  }
  return { lines, setHere }
}

/** Returns an own property only, and not the inherited `constructor`, for instance. */
function ownValue(headers: Headers, name: string): unknown {
  return Object.hasOwn(headers, name) ? headers[name] : undefined
}

function isSame(name: string, before: unknown, now: unknown): boolean {
  if (before === now) return true
  const had = valuesOf(name, before)
  const has = valuesOf(name, now)
  return had.length === has.length && had.every((value, index) => value === has[index])
}

interface ChangedLines {
  readonly lines: string[]
  readonly setHere: Set<string>
}

function addLines({ lines, setHere }: ChangedLines, name: string, value: unknown): void {
  setHere.add(name.toLowerCase())
  for (const text of valuesOf(name, value)) {
    if (!NAME.test(name) || BAD_VALUE.test(text)) throw unsendable(name)
    lines.push(name, text)
  }
}

/** RFC 9110 §5.1, and the pseudo-headers of HTTP/2; Node itself changes some of them if `req.method` is set. */
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
