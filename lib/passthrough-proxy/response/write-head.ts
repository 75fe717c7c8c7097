import { ServerResponse } from '../../node/http.js'
import { OUT_HEADERS, type OutgoingHeaders, type OutgoingResponse } from '../../node/internals.js'
import { isHttp2 } from '../../node/request/facts.js'
import { isReplaced } from '../../node/response/methods.js'
import { isHeadWritten } from '../../node/response/send-head.js'
import { expectBody, takesBody } from '../../node/response/state.js'
import { isHeadUntouched } from '../../node/response/untouched-response.js'
import { framingNames } from '../../shared/framing-names.js'
import { joinSingleLines } from './single-lines.js'

/** The lines to which several writers may contribute: those of a middleware are sent beside the upstream's. */
const shared: ReadonlySet<string> = new Set(['set-cookie', 'vary'])

/** Matches characters for which Node would refuse the whole head. HTTP/2 has no phrase, and Node warns of one. */
// oxlint-disable-next-line no-control-regex
const BAD_REASON = /[^\t\x20-\x7e\x80-\xff]/

/** Writes the head of a response; it is sent with the first byte of the body, or when it is flushed. */
export function writeHead(res: ServerResponse, status: number, reason: string, lines: string[]): void {
  const hasPhrase = !isHttp2(res.req)
  const phrase = hasPhrase && !BAD_REASON.test(reason) ? reason : undefined
  const before = hasPhrase ? res.statusMessage : ''
  const takes = takesBody(res)
  keepDisposition(res, lines)
  if (!hasPhrase) joinSingleLines(lines)
  forgetOwnFraming(res)
  try {
    if (isNative(res) && !isChangedByWrites(res, status)) writeLines(res, status, phrase, lines)
    else writeBesideOwn(res, status, phrase, lines)
  } catch (error) {
    if (!isHeadWritten(res)) forgetRefused(res, takes, before)
    throw error
  }
}

/**
 * Forgets a head that Node has refused. The answer that reports the error has a body if the client `takes` one, even if
 * this one was to have none, and a phrase of its own.
 */
function forgetRefused(res: ServerResponse, takes: boolean, phrase: string): void {
  expectBody(res, takes)
  if (!isHttp2(res.req)) res.statusMessage = phrase
}

/**
 * Forgets the framing that a middleware has set, which does not describe the upstream's body. `removeHeader` would also
 * keep Node from sending chunks.
 */
function forgetOwnFraming(res: ServerResponse): void {
  const own = (res as Partial<OutgoingResponse>)[OUT_HEADERS]
  for (const name of framingNames) {
    if (own?.[name] !== undefined) delete own[name]
    else if (own === undefined) res.removeHeader(name)
  }
}

/**
 * Writes all lines as one array, so that each keeps its place and case: if headers have been set, Node calls
 * `setHeader` for each line, and loses repeated ones. Loggers find the lines through `getHeader` afterwards.
 */
function writeLines(
  res: OutgoingResponse,
  status: number,
  phrase: string | undefined,
  lines: string[],
): void {
  const own = res[OUT_HEADERS]
  const headers = headersOf(lines)
  const all = own === null ? lines : [...takeOwn(own, headers), ...lines]
  res[OUT_HEADERS] = null
  try {
    res.writeHead(status, phrase, all)
  } catch (error) {
    res[OUT_HEADERS] = own
    throw error
  }
  res[OUT_HEADERS] = headers
}

function headersOf(lines: readonly string[]): OutgoingHeaders {
  const headers = { __proto__: null } as unknown as OutgoingHeaders
  for (let i = 0; i < lines.length; i += 2) add(headers, lines[i] as string, lines[i + 1] as string)
  return headers
}

function add(headers: OutgoingHeaders, name: string, value: string): void {
  const key = name.toLowerCase()
  const known = headers[key]
  if (known === undefined) headers[key] = [name, value]
  else if (Array.isArray(known[1])) known[1].push(value)
  else known[1] = [known[1] as string, value]
}

/** Returns the lines that a middleware has set and the upstream has not sent, and adds them to `headers`. */
function takeOwn(own: OutgoingHeaders, headers: OutgoingHeaders): string[] {
  const lines: string[] = []
  for (const key of Object.keys(own)) {
    if (headers[key] !== undefined && !shared.has(key)) continue
    const [name, value] = own[key] as OutgoingHeaders[string]
    for (const each of Array.isArray(value) ? value : [value]) {
      lines.push(name, String(each))
      add(headers, name, String(each))
    }
  }
  return lines
}

function writeBesideOwn(
  res: ServerResponse,
  status: number,
  phrase: string | undefined,
  lines: readonly string[],
): void {
  replaceOwn(res, lines)
  try {
    appendLines(res, lines)
    if (isChangedByWrites(res, status)) setStatus(res, status, phrase)
    else res.writeHead(status, phrase)
  } catch (error) {
    // The answer that reports the error must not carry half of these lines.
    if (!isHeadWritten(res)) removeHeaders(res, lines)
    throw error
  }
}

/** Leaves the head to the first write. */
function setStatus(res: ServerResponse, status: number, phrase: string | undefined): void {
  res.statusCode = status
  if (phrase !== undefined) res.statusMessage = phrase
}

/**
 * Tells whether a middleware has replaced `write` or `end`. It may change the body there, and the head with it, which
 * must not have been written by then. Node writes it with the first byte, as for any other handler.
 */
function isChangedByWrites(res: ServerResponse, status: number): boolean {
  const isFinal = Number.isInteger(status) && status >= 200 && status <= 999
  return isFinal && (isReplaced(res, 'write') || isReplaced(res, 'end'))
}

/**
 * Prepares a Content-Disposition: Node decodes its bytes as UTF-8 if a Content-Length comes first, and then sends the
 * characters as latin1. The value written here ends up as the bytes that came in.
 * @see https://github.com/nodejs/node/pull/46528
 */
function keepDisposition(res: ServerResponse, lines: string[]): void {
  if (!(res instanceof ServerResponse)) return
  let hasLength = false
  for (let i = 0; i < lines.length; i += 2) {
    const name = lines[i] as string
    if (name.length === 14 && /^content-length$/i.test(name)) hasLength = Number(lines[i + 1]) > 0
    else if (hasLength && name.length === 19 && /^content-disposition$/i.test(name)) {
      lines[i + 1] = Buffer.from(lines[i + 1] as string, 'utf8').toString('latin1')
    }
  }
}

function appendLines(res: ServerResponse, lines: readonly string[]): void {
  for (let i = 0; i < lines.length; i += 2) {
    res.appendHeader(lines[i] as string, lines[i + 1] as string)
  }
}

function removeHeaders(res: ServerResponse, lines: readonly string[]): void {
  for (let i = 0; i < lines.length; i += 2) res.removeHeader(lines[i] as string)
}

/**
 * Tells whether the head of a response and its class are unpatched; a patch may read the headers that have been set.
 */
function isNative(res: ServerResponse): res is OutgoingResponse {
  return OUT_HEADERS !== undefined && isHeadUntouched(res)
}

/** Removes headers that a middleware has set and the upstream has sent too. */
function replaceOwn(res: ServerResponse, lines: readonly string[]): void {
  const own = res.getHeaderNames()
  for (let i = 0; i < lines.length; i += 2) {
    const name = (lines[i] as string).toLowerCase()
    if (own.includes(name) && !shared.has(name)) res.removeHeader(name)
  }
}
