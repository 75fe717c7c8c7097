import { type HeaderValue, parseHeaderValue } from './header-value.js'
import { malformed } from './malformed.js'
import { encodingIn, encodingOfCharset } from './media-type.js'
import { decodeEscaped, decodeText } from './text.js'

/** The bounds of a form. RFC 2046 §5.1.1 limits the boundary to 70 characters. */
const MAX_PARTS = 1000
const MAX_PART_HEAD_BYTES = 16 * 1024
const MAX_BOUNDARY_LENGTH = 70

const [TAB, LF, CR, SPACE, DASH] = [0x09, 0x0a, 0x0d, 0x20, 0x2d] as const

/** One part of a form. Its content is not copied out of the body. */
interface Part {
  readonly disposition: HeaderValue
  readonly type: string | undefined
  readonly transferEncoding: string | undefined
  readonly content: Buffer
}

/**
 * Parses a multipart form. It finds and counts all parts before it creates any value.
 *
 * NOTE: the whole body is in memory, so no stream is needed. busboy 1.6, @fastify/busboy 3 and the parser of Node's
 * own fetch were tried and rejected: each truncates or drops parts of some forms without an error
 * (test/body-cache/accessors/multipart.test.ts has these forms).
 *
 * @see RFC 7578, RFC 2046 §5.1
 */
export function parseMultipart(body: Buffer, boundary: string | undefined): FormData {
  if (boundary === undefined || boundary === '') throw malformedForm('its Content-Type names no boundary')
  if (boundary.length > MAX_BOUNDARY_LENGTH) {
    throw malformedForm(`its boundary has more than ${MAX_BOUNDARY_LENGTH} characters`)
  }
  const form = new FormData()
  for (const part of partsOf(body, Buffer.from(`\r\n--${boundary}`, 'latin1'))) append(form, part)
  return form
}

/** Finds the parts of a body. Bytes before the first and after the last boundary are ignored. */
function partsOf(body: Buffer, delimiter: Buffer): Part[] {
  const parts: Part[] = []
  let at = skipLineEnd(body, firstBoundary(body, delimiter))
  while (at !== undefined) {
    if (parts.length === MAX_PARTS) throw malformed(`more than ${MAX_PARTS} parts`)
    const headEnd = endOfHead(body, at)
    // The line end before a boundary belongs to it, and may also be the end of an empty part's head.
    const end = body.indexOf(delimiter, headEnd + 2)
    if (end === -1) throw malformedForm('it ends before its last boundary')
    parts.push(partOf(body.toString('utf8', at, headEnd), body.subarray(headEnd + 4, end)))
    at = skipLineEnd(body, end + delimiter.length)
  }
  return parts
}

/** Returns the position after the first boundary, which may begin with the first byte of the body. */
function firstBoundary(body: Buffer, delimiter: Buffer): number {
  const at = body.indexOf(delimiter.subarray(2))
  if (at === -1) throw malformedForm('the boundary of its Content-Type is not in it')
  const beginsLine = at === 0 || (body[at - 2] === CR && body[at - 1] === LF)
  if (!beginsLine) throw malformedForm('its first boundary does not begin a line')
  return at + delimiter.length - 2
}

/**
 * Returns the position of the head after a boundary, or undefined after the last boundary.
 *
 * No line of a part may begin with the boundary (RFC 2046 §5.1.1). Such a line is an error, as parsers
 * disagree on where the part ends.
 */
function skipLineEnd(body: Buffer, boundaryEnd: number): number | undefined {
  const isLast = body[boundaryEnd] === DASH && body[boundaryEnd + 1] === DASH
  let at = isLast ? boundaryEnd + 2 : boundaryEnd
  while (body[at] === SPACE || body[at] === TAB) at += 1
  const ends = body[at] === CR && body[at + 1] === LF
  if (isLast && (at === body.length || body[at] === CR || body[at] === LF)) return undefined
  if (isLast || !ends) throw malformedForm('a line begins with its boundary and goes on')
  return at + 2
}

/** Returns the end of a head, the line end before an empty line. A part may have no head line at all. */
function endOfHead(body: Buffer, start: number): number {
  const end = body.subarray(start - 2, start + MAX_PART_HEAD_BYTES + 4).indexOf('\r\n\r\n')
  if (end !== -1) return start - 2 + end
  const isCut = body.length - start <= MAX_PART_HEAD_BYTES
  throw malformedForm(
    isCut
      ? 'it ends in the head of a part'
      : `the head of a part is larger than ${MAX_PART_HEAD_BYTES} bytes`,
  )
}

function partOf(head: string, content: Buffer): Part {
  const lines = linesOf(head)
  const disposition = parseHeaderValue(lines.get('content-disposition') ?? '')
  if (disposition?.value !== 'form-data' || !disposition.parameters.has('name')) {
    throw malformedForm('a part has no name')
  }
  return {
    disposition,
    type: lines.get('content-type'),
    transferEncoding: lines.get('content-transfer-encoding'),
    content,
  }
}

/** Returns the lines of a head by their names. Two lines with the same name are ambiguous. */
function linesOf(head: string): Map<string, string> {
  const lines = new Map<string, string>()
  if (head === '') return lines
  for (const line of head.replaceAll(/\r\n[ \t]+/g, ' ').split('\r\n')) {
    const colon = line.indexOf(':')
    const name = line.slice(0, Math.max(colon, 0)).trimEnd().toLowerCase()
    // oxlint-disable-next-line no-control-regex
    if (name === '' || lines.has(name) || /[\r\n\0]/.test(line)) {
      throw malformedForm('the head of a part is malformed')
    }
    lines.set(name, line.slice(colon + 1).trim())
  }
  return lines
}

function append(form: FormData, { disposition, type, transferEncoding, content }: Part): void {
  const name = unescapeName(disposition.parameters.get('name')!)
  const filename = filenameOf(disposition)
  const isBase64 = transferEncoding?.toLowerCase() === 'base64'
  const bytes = isBase64 ? Buffer.from(content.toString('latin1'), 'base64') : content
  if (filename === undefined) form.append(name, decodeText(bytes, encodingOfPart(type)))
  else form.append(name, new File([bytes], filename, { type: type ?? 'text/plain' }))
}

function encodingOfPart(type: string | undefined): string {
  const mediaType = type === undefined ? undefined : parseHeaderValue(type)
  return mediaType === undefined ? 'utf-8' : encodingIn(mediaType)
}

function filenameOf({ parameters }: HeaderValue): string | undefined {
  const extended = parameters.get('filename*')
  const plain = parameters.get('filename')
  if (extended !== undefined) return decodeExtended(extended)
  return plain === undefined ? undefined : unescapeName(plain)
}

/** Unescapes a name: browsers escape only these characters. */
function unescapeName(name: string): string {
  return name.replaceAll('%0A', '\n').replaceAll('%0D', '\r').replaceAll('%22', '"')
}

/**
 * Decodes an extended value such as `UTF-8''%e2%82%ac`. The escaped text may have further `'`, which
 * `encodeURIComponent` leaves as they are. @see RFC 8187 §3.2
 */
function decodeExtended(value: string): string {
  const [charset = '', , ...escaped] = value.split("'")
  if (escaped.length === 0) throw malformedForm('a filename* names no charset')
  return decodeEscaped(escaped.join("'"), encodingOfCharset(charset))
}

function malformedForm(reason: string): Error {
  return malformed(`request body is not a well-formed form: ${reason}`)
}
