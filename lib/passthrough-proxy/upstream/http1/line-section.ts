import { TOKEN } from '../../headers/token.js'
import { HEAD_TOO_LARGE } from '../messages.js'

/** The error for bytes of a server that are not a response. */
export class MalformedResponse extends Error {
  override readonly name = 'MalformedResponse'
}

const END = Buffer.from('\r\n\r\n')
/** Matches control characters except the tab, which RFC 9110 §5.5 excludes from values. */
// oxlint-disable-next-line no-control-regex -- those are what it looks for
const CONTROL = /[\0-\x08\x0a-\x1f\x7f]/

const [TAB, SPACE] = [0x09, 0x20] as const

/** Receives one line, which is in `text` from `from` to `end`. */
type OnLine = (text: string, from: number, end: number) => void

/**
 * Reads lines up to an empty one, in any number of pieces: a head, or the trailers of a body. Each line is passed on
 * as soon as it is complete, so that bytes that are not HTTP fail at once.
 */
export class LineSection {
  private readonly maxBytes: number
  private readonly onLine: OnLine
  /** The line that is not complete yet. */
  private text = ''
  /** The last characters before the next piece, which may contain the beginning of the end. */
  private tail = ''
  private length = 0
  isWhole = false

  constructor(maxBytes: number, onLine: OnLine) {
    this.maxBytes = maxBytes
    this.onLine = onLine
  }

  /** Begins a section. `before` is the line end before it, if an empty line alone can end the section. */
  begin(before: '' | '\r\n'): void {
    this.text = ''
    this.tail = before
    this.length = 0
    this.isWhole = false
  }

  /** The line that is not complete yet. */
  get unfinished(): string {
    return this.text
  }

  /** Takes the bytes that belong to the section, and returns the position of its end. */
  take(bytes: Buffer, from: number): number {
    const end = this.findEnd(bytes, from)
    this.length += end - from
    if (this.length > this.maxBytes) throw new MalformedResponse(HEAD_TOO_LARGE)
    const piece = bytes.toString('latin1', from, end)
    this.text += piece
    if (!this.isWhole) this.tail = (this.tail + piece.slice(-3)).slice(-3)
    if (piece.includes('\n')) this.passLines()
    return end
  }

  private findEnd(bytes: Buffer, from: number): number {
    const split = this.tail === '' ? -1 : this.findSplitEnd(bytes, from)
    if (split !== -1) return this.endAt(split)
    const found = bytes.indexOf(END, from)
    return found === -1 ? bytes.length : this.endAt(found + END.length)
  }

  /** Finds an end that began in an earlier piece, and returns its position. */
  private findSplitEnd(bytes: Buffer, from: number): number {
    const joint = this.tail + bytes.toString('latin1', from, from + 3)
    const found = joint.indexOf('\r\n\r\n')
    return found === -1 ? -1 : from - this.tail.length + found + END.length
  }

  private endAt(end: number): number {
    this.isWhole = true
    return end
  }

  private passLines(): void {
    const { text } = this
    let from = 0
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', from)) {
      if (text.charCodeAt(end - 1) !== 13)
        throw new MalformedResponse('the upstream sent a line that does not end with CR LF')
      if (end - 1 > from) this.onLine(text, from, end - 1)
      else if (!this.isWhole || end + 1 < text.length)
        throw new MalformedResponse('the upstream sent an empty line before a head')
      from = end + 1
    }
    this.text = text.slice(from)
  }
}

/** Adds name and value of one header line. */
export function addHeaderLine(lines: string[], text: string, from: number, end: number): void {
  const colon = text.indexOf(':', from)
  const name = text.slice(from, colon === -1 || colon > end ? from : colon)
  if (!TOKEN.test(name)) throw new MalformedResponse('the upstream sent a header line without a name')
  const value = trimmed(text, colon + 1, end)
  if (CONTROL.test(value))
    throw new MalformedResponse('the upstream sent a header line with a control character')
  lines.push(name, value)
}

/** Trims spaces and tabs around a value (RFC 9110 §5.5), but no other white space of latin1. */
function trimmed(text: string, from: number, end: number): string {
  let first = from
  let last = end
  while (first < last && isBlank(text.charCodeAt(first))) first += 1
  while (first < last && isBlank(text.charCodeAt(last - 1))) last -= 1
  return text.slice(first, last)
}

function isBlank(character: number): boolean {
  return character === SPACE || character === TAB
}
