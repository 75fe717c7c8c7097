import type { Readable } from 'node:stream'
import { framingNames } from '../../../shared/framing-names.js'
import { TOKEN } from '../../headers/token.js'
import { notInRequestTrailers } from '../../headers/trailer-names.js'
import type { UpstreamRequest } from '../upstream.js'
import { isConnectionLogin } from './login.js'

/** The error for a request that cannot be written as it is. */
class UnsendableRequest extends Error {
  override readonly name = 'UnsendableRequest'
}

const LINE = /^[!#$%&'*+\-.^_`|~\w]+: [\t\x20-\x7e\x80-\xff]*$/
const BEYOND_LATIN1 = /[^\0-\xff]/ // oxlint-disable-line no-control-regex
/** Matches values without control characters and without characters beyond latin1. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
/** Excludes spaces as well: they would end the path. */
const PATH = /^[\x21-\xff]+$/
const UNSENT_IN_PATH = 'it has a space, a control character, or a character beyond latin1'
const DIGITS = /^\d+$/

/** The methods for which servers expect a length even without a body (RFC 9110 §8.6). */
const withBody: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH'])

/** The lines that only this client writes. */
const ownLines: ReadonlySet<string> = new Set([...framingNames, 'expect', 'upgrade', 'keep-alive'])

/** A head as it is sent, one character for each byte. */
export interface WrittenHead {
  readonly text: string
  /** True if the body is sent in chunks. */
  readonly isChunked: boolean
  /** True if the connection carries no further request. */
  readonly isLast: boolean
  /** True if it carries a login that belongs to the connection (NTLM, Negotiate). */
  readonly logsIn: boolean
}

/** Writes the head of a request for the server with this name. Throws `UnsendableRequest`. */
export function requestHead(request: UpstreamRequest, host: string): WrittenHead {
  const { method, path, upgrade } = request
  if (!TOKEN.test(method) || method === 'CONNECT') throw new UnsendableRequest('a method that cannot be sent')
  if (!PATH.test(path)) throw new UnsendableRequest(`a path that cannot be sent: ${UNSENT_IN_PATH}`)
  const given = readLines(request.lines)
  const isChunked = goesInChunks(request)
  const start = `${method} ${path} HTTP/1.1\r\n${given.host ?? `host: ${host}\r\n`}`
  const text = `${start}${connectionLines(upgrade, given.isLast)}${given.text}${framingLine(request, isChunked)}\r\n`
  return { text, isChunked, isLast: given.isLast, logsIn: given.logsIn }
}

function connectionLines(upgrade: string | undefined, isLast: boolean): string {
  if (upgrade === undefined) return isLast ? 'connection: close\r\n' : 'connection: keep-alive\r\n'
  if (!VALUE.test(upgrade) || upgrade === '') throw new UnsendableRequest('a protocol that cannot be sent')
  return `connection: upgrade\r\nupgrade: ${upgrade}\r\n`
}

interface GivenLines {
  text: string
  /** The Host line, which is sent first (RFC 9110 §7.2). */
  host: string | undefined
  isLast: boolean
  logsIn: boolean
}

function readLines(lines: readonly string[]): GivenLines {
  const given: GivenLines = { text: '', host: undefined, isLast: false, logsIn: false }
  for (let i = 0; i < lines.length; i += 2) readLine(given, lines[i] as string, lines[i + 1] as string)
  return given
}

/** Reads a line. The length of its name excludes most lines that have no meaning here. */
function readLine(given: GivenLines, name: string, value: string): void {
  const line = lineOf(name, value)
  const { length } = name
  if (length === 10 && /^connection$/i.test(name)) return readConnection(given, value)
  if (length > 5 && length < 18 && ownLines.has(name.toLowerCase())) {
    throw new UnsendableRequest(`a ${name} line, which cannot be set`)
  }
  if (length === 4 && /^host$/i.test(name)) return noteHost(given, `host: ${value}\r\n`)
  if (length === 13 && isLogin(name, value)) given.logsIn = true
  given.text += line
}

/** Notes a Host line, and refuses a second one: servers disagree on which counts (RFC 9112 §3.2). */
function noteHost(given: GivenLines, line: string): void {
  if (given.host !== undefined) throw new UnsendableRequest('a second Host')
  given.host = line
}

function lineOf(name: string, value: string): string {
  const line = `${name}: ${value}`
  if (LINE.test(line) && !name.includes(':')) return `${line}\r\n`
  const what = TOKEN.test(name) ? `value of ${name}` : 'header name'
  const why = BEYOND_LATIN1.test(value) ? ': it has a character beyond latin1' : ''
  throw new UnsendableRequest(`a ${what} that cannot be sent${why}`)
}

function readConnection(given: GivenLines, value: string): void {
  if (/^close$/i.test(value)) given.isLast = true
  else if (!/^keep-alive$/i.test(value)) throw new UnsendableRequest('a Connection other than close')
}

function isLogin(name: string, value: string): boolean {
  return /^authorization$/i.test(name) && isConnectionLogin(value)
}

function goesInChunks({ body, contentLength }: UpstreamRequest): boolean {
  return body !== null && isStream(body) && contentLength === undefined
}

/** Tells whether a body is a stream; a hook may have set any value. */
function isStream(body: NonNullable<UpstreamRequest['body']>): boolean {
  if (typeof body === 'string' || Buffer.isBuffer(body)) return false
  const { on, pause, resume } = body as Partial<Readable>
  const isOne = [on, pause, resume].every((method) => typeof method === 'function')
  if (!isOne) throw new UnsendableRequest('a body that is neither a stream, a Buffer nor a text')
  return true
}

function framingLine(request: UpstreamRequest, isChunked: boolean): string {
  if (isChunked) return 'transfer-encoding: chunked\r\n'
  const length = lengthToAnnounce(request)
  return length === undefined ? '' : `content-length: ${length}\r\n`
}

function lengthToAnnounce({ method, body, contentLength }: UpstreamRequest): string | undefined {
  if (contentLength !== undefined && !DIGITS.test(contentLength)) throw wrongLength()
  if (body !== null && isStream(body)) return contentLength
  const length = body === null ? 0 : Buffer.byteLength(body as string | Buffer)
  if (contentLength !== undefined && Number(contentLength) !== length) throw wrongLength()
  return body !== null || withBody.has(method) ? String(length) : contentLength
}

function wrongLength(): UnsendableRequest {
  return new UnsendableRequest('a Content-Length that is not that of the body')
}

/** Returns the end of a body in chunks, with the trailers that are allowed there. */
export function lastChunk(trailers: readonly string[]): string {
  let text = '0\r\n'
  for (let i = 0; i < trailers.length; i += 2) {
    const name = trailers[i] as string
    if (!notInRequestTrailers.has(name.toLowerCase())) text += lineOf(name, trailers[i + 1] as string)
  }
  return `${text}\r\n`
}
