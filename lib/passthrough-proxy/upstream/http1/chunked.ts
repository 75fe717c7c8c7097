import { addHeaderLine, LineSection, MalformedResponse } from './line-section.js'

/** Receives the body within the chunks. */
export interface BodyEvents {
  onBody(chunk: Buffer): void
  /** Called at the end; `last` are bytes that came together with it. */
  onEnd(trailers: string[], last?: Buffer): void
}

/** More digits than any countable size has. */
const MAX_DIGITS = 16
/** The bound for the extensions of one chunk, the same as Node's (CVE-2024-22019): each may be signed. */
const MAX_EXTENSION_BYTES = 16 * 1024

const [LF, CR, SEMICOLON] = [0x0a, 0x0d, 0x3b] as const

/** The part that comes next. */
type Part = 'size' | 'extension' | 'size-end' | 'data' | 'data-cr' | 'data-lf' | 'trailers' | 'over'

/**
 * Decodes a body of chunks (RFC 9112 §7.1). It drops extensions and keeps trailers. Data is passed on as slices of
 * the input.
 */
export class ChunkDecoder {
  private readonly events: BodyEvents
  private readonly section: LineSection
  private part: Part = 'size'
  private digits = 0
  /** The size that is being read, then the rest of the chunk. */
  private left = 0
  private extensionBytes = 0
  private trailers: string[] = []
  /** Data of this piece that may be the last of the body. */
  private held: Buffer | undefined

  constructor(events: BodyEvents, maxTrailerBytes: number) {
    this.events = events
    this.section = new LineSection(maxTrailerBytes, (text, from, end) => {
      addHeaderLine(this.trailers, text, from, end)
    })
  }

  begin(): void {
    this.part = 'size'
    this.digits = 0
    this.left = 0
    this.extensionBytes = 0
  }

  get isOver(): boolean {
    return this.part === 'over'
  }

  /**
   * Decodes bytes from `from` on. Returns the position of the body's end, or their length if it is not among them.
   */
  execute(bytes: Buffer, from: number): number {
    let at = from
    while (at < bytes.length && this.part !== 'over') at = this.step(bytes, at)
    this.passHeld()
    return at
  }

  private step(bytes: Buffer, at: number): number {
    if (this.part === 'data') return this.takeData(bytes, at)
    if (this.part === 'trailers') return this.takeTrailers(bytes, at)
    this.takeFraming(bytes[at] as number)
    return at + 1
  }

  private takeFraming(byte: number): void {
    if (this.part === 'size') this.takeSize(byte)
    else if (this.part === 'extension') this.takeExtension(byte)
    else if (this.part === 'size-end') this.endSize(byte)
    else if (this.part === 'data-cr') this.part = expected(byte, CR, 'data-lf')
    else this.part = expected(byte, LF, 'size')
  }

  private takeSize(byte: number): void {
    const digit = digitOf(byte)
    if (digit === -1) return this.endDigits(byte)
    this.digits += 1
    this.left = this.left * 16 + digit
    if (this.digits > MAX_DIGITS || this.left > Number.MAX_SAFE_INTEGER) {
      throw new MalformedResponse('the upstream sent a chunk that is too large')
    }
  }

  private endDigits(byte: number): void {
    if (this.digits === 0) throw new MalformedResponse('the upstream sent a chunk without a size')
    if (byte === SEMICOLON) this.part = 'extension'
    else this.part = expected(byte, CR, 'size-end')
  }

  private takeExtension(byte: number): void {
    this.extensionBytes += 1
    if (this.extensionBytes > MAX_EXTENSION_BYTES)
      throw new MalformedResponse('the upstream sent too many chunk extensions')
    if (byte === CR) this.part = 'size-end'
    else if ((byte < 32 && byte !== 9) || byte === 127)
      throw new MalformedResponse('the upstream sent an invalid chunk extension')
  }

  private endSize(byte: number): void {
    this.part = expected(byte, LF, this.left === 0 ? 'trailers' : 'data')
    this.digits = 0
    this.extensionBytes = 0
    if (this.left === 0) this.beginTrailers()
  }

  private beginTrailers(): void {
    this.trailers = []
    this.section.begin('\r\n')
  }

  private takeData(bytes: Buffer, at: number): number {
    this.passHeld()
    const end = Math.min(bytes.length, at + this.left)
    this.held = at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end)
    this.left -= end - at
    if (this.left === 0) this.part = 'data-cr'
    return end
  }

  private takeTrailers(bytes: Buffer, at: number): number {
    const end = this.section.take(bytes, at)
    if (this.section.isWhole) this.end()
    return end
  }

  private end(): void {
    const { held } = this
    this.held = undefined
    this.part = 'over'
    this.events.onEnd(this.trailers, held)
  }

  private passHeld(): void {
    const { held } = this
    if (held === undefined) return
    this.held = undefined
    this.events.onBody(held)
  }
}

function expected(byte: number, wanted: number, next: Part): Part {
  if (byte !== wanted) throw new MalformedResponse('the upstream sent a chunk with invalid framing')
  return next
}

/** Returns the value of a hexadecimal digit, or -1. */
function digitOf(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48
  const letter = byte | 32
  return letter >= 97 && letter <= 102 ? letter - 87 : -1
}
