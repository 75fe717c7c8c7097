import { hasNoBody } from '../../../shared/response-facts.js'
import { type BodyEvents, ChunkDecoder } from './chunked.js'
import { addHeaderLine, LineSection, MalformedResponse } from './line-section.js'
import { ResponseFraming } from './response-framing.js'

/** Receives the events of one response, in the order of the wire. */
export interface ResponseEvents extends BodyEvents {
  onInformation(status: number, lines: string[]): void
  onHead(status: number, reason: string, lines: string[]): void
  /** Called when the server has switched protocols: the bytes after the head are not HTTP. */
  onUpgrade(lines: string[]): void
}

/** Matches HTTP/1.0 or 1.1, a status of three digits (RFC 9110 §15: 100 and above), and an optional reason. */
// oxlint-disable-next-line no-control-regex -- a reason has none of them, but tabs (RFC 9112 §4)
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: ([^\0-\x08\x0a-\x1f\x7f]*))?$/
const BEGINNING = 'HTTP/1.'

type Phase = 'status' | 'lines' | 'length' | 'chunks' | 'rest' | 'over'

/**
 * Parses the responses of one connection: it takes bytes and emits events, without socket or timer. Throws
 * `MalformedResponse` for bytes that are not a response. Exceptions of an event handler pass through.
 */
export class ResponseParser {
  private readonly events: ResponseEvents
  private readonly section: LineSection
  private readonly chunks: ChunkDecoder
  private readonly framing = new ResponseFraming()
  private phase: Phase = 'over'
  private method = ''
  private upgrade: string | undefined
  private status = 0
  private reason = ''
  private lines: string[] = []
  private left = 0
  /** True once bytes have arrived that begin the present response. Others are left over from an earlier one. */
  hasBegun = false

  constructor(events: ResponseEvents, maxHeadBytes: number) {
    this.events = events
    this.section = new LineSection(maxHeadBytes, (text, from, end) => this.takeLine(text, from, end))
    this.chunks = new ChunkDecoder(events, maxHeadBytes)
  }

  /** Begins the response to a request with this method, which may ask for an upgrade. */
  begin(method: string, upgrade: string | undefined): void {
    this.method = method
    this.upgrade = upgrade?.toLowerCase()
    this.hasBegun = false
    this.beginHead()
  }

  /** True once the response, or its part that is HTTP, is complete. */
  get isOver(): boolean {
    return this.phase === 'over'
  }

  /** True if the connection may carry another request after this response. */
  get isKept(): boolean {
    return this.framing.isKept
  }

  /**
   * Tells whether the server may want no more of the request, and close the connection before its response is read.
   * A success may answer bytes that are still to come, even if the connection closes after it.
   */
  refusesBody(status: number): boolean {
    return status >= 400 || (status >= 300 && !this.isKept)
  }

  get keepAliveHint(): number | undefined {
    return this.framing.keepAliveHint
  }

  /** Parses bytes, and returns how many of them belong to the response. */
  execute(bytes: Buffer): number {
    let at = 0
    this.hasBegun ||= isBeginning(bytes.toString('latin1', 0, BEGINNING.length))
    while (at < bytes.length && this.phase !== 'over') at = this.step(bytes, at)
    return at
  }

  /** Notes that the server has ended the connection, which ends a body without framing. */
  finish(): void {
    if (this.phase !== 'rest') return
    this.phase = 'over'
    this.events.onEnd([])
  }

  private step(bytes: Buffer, at: number): number {
    if (this.phase === 'length') return this.takeLength(bytes, at)
    if (this.phase === 'chunks') return this.takeChunks(bytes, at)
    if (this.phase === 'rest') return this.takeRest(bytes, at)
    return this.takeHead(bytes, at)
  }

  private beginHead(): void {
    this.phase = 'status'
    this.section.begin('')
    this.lines = []
  }

  private takeHead(bytes: Buffer, at: number): number {
    const end = this.section.take(bytes, at)
    if (this.phase === 'status') this.checkBeginning()
    if (this.section.isWhole) this.endHead()
    return end
  }

  /**
   * Checks the beginning of a status line early: a server that does not speak HTTP may be silent after its greeting.
   */
  private checkBeginning(): void {
    if (isBeginning(this.section.unfinished.slice(0, BEGINNING.length))) return
    throw new MalformedResponse('the upstream sent bytes that are not an HTTP response')
  }

  private takeLine(text: string, from: number, end: number): void {
    if (this.phase === 'status') return this.takeStatus(text.slice(from, end))
    addHeaderLine(this.lines, text, from, end)
    const { lines } = this
    this.framing.note(lines[lines.length - 2] as string, lines[lines.length - 1] as string)
  }

  private takeStatus(line: string): void {
    const parts = STATUS_LINE.exec(line)
    if (parts === null) throw new MalformedResponse('the upstream sent bytes that are not an HTTP response')
    this.status = Number(parts[2])
    this.reason = parts[3] ?? ''
    this.framing.begin(parts[1] === '0')
    this.phase = 'lines'
  }

  private endHead(): void {
    const { status, reason, lines } = this
    if (status === 101) return this.switchProtocols()
    if (status < 200) {
      this.beginHead()
      return this.events.onInformation(status, lines)
    }
    this.phase = this.bodyPhase()
    this.events.onHead(status, reason, lines)
    if (this.phase === 'over') this.events.onEnd([])
  }

  private switchProtocols(): void {
    const { protocol, namesUpgrade } = this.framing
    if (this.upgrade === undefined)
      throw new MalformedResponse('the upstream sent a 101 without a request for it')
    if (protocol !== this.upgrade || !namesUpgrade) {
      throw new MalformedResponse('the upstream sent a 101 for a protocol other than the requested one')
    }
    this.phase = 'over'
    this.events.onUpgrade(this.lines)
  }

  /** Returns the phase for the body (RFC 9112 §6.3). */
  private bodyPhase(): Phase {
    const { framing } = this
    if (hasNoBody(this.method, this.status)) return 'over'
    if (framing.isChunked) {
      this.chunks.begin()
      return 'chunks'
    }
    if (framing.contentLength === undefined) return 'rest'
    this.left = framing.contentLength
    return this.left === 0 ? 'over' : 'length'
  }

  private takeLength(bytes: Buffer, at: number): number {
    const end = Math.min(bytes.length, at + this.left)
    const chunk = at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end)
    this.left -= chunk.length
    if (this.left > 0) this.events.onBody(chunk)
    else {
      this.phase = 'over'
      this.events.onEnd([], chunk)
    }
    return end
  }

  private takeChunks(bytes: Buffer, at: number): number {
    const end = this.chunks.execute(bytes, at)
    if (this.chunks.isOver) this.phase = 'over'
    return end
  }

  private takeRest(bytes: Buffer, at: number): number {
    this.events.onBody(at === 0 ? bytes : bytes.subarray(at))
    return bytes.length
  }
}

function isBeginning(text: string): boolean {
  return BEGINNING.startsWith(text)
}
