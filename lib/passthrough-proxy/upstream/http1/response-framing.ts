import { MalformedResponse } from './line-section.js'

const DIGITS = /^\d+$/
/** The largest length that other implementations accept: 64 bits. */
const MAX_CONTENT_LENGTH = 0xffff_ffff_ffff_ffffn
/** The number of digits that a double always holds exactly. */
const EXACT_DIGITS = 15

/** Reads the framing and the future of the connection from the header lines of one response (RFC 9112 §6, §9.3). */
export class ResponseFraming {
  private isOld = false
  private asksToKeep = false
  private asksToClose = false
  private length: string | undefined
  isChunked = false
  /** True if there is `Connection: upgrade`. */
  namesUpgrade = false
  /** The value of `Upgrade`, lower-cased. */
  protocol: string | undefined
  /** The number of seconds for which the server keeps an idle connection, if it says so. */
  keepAliveHint: number | undefined

  begin(isOld: boolean): void {
    this.isOld = isOld
    this.asksToKeep = false
    this.asksToClose = false
    this.length = undefined
    this.isChunked = false
    this.namesUpgrade = false
    this.protocol = undefined
    this.keepAliveHint = undefined
  }

  /** True if the server leaves the connection open after this response. */
  get isKept(): boolean {
    return !this.asksToClose && (this.asksToKeep || !this.isOld)
  }

  /** The announced length. A double is exact enough: a length that it cannot hold is never sent. */
  get contentLength(): number | undefined {
    return this.length === undefined ? undefined : Number(this.length)
  }

  /** Reads a line. The length of its name excludes most lines. */
  note(name: string, value: string): void {
    if (name.length === 14) this.noteLength(name.toLowerCase(), value)
    else if (name.length === 17) this.noteCoding(name.toLowerCase(), value)
    else if (name.length === 10) this.noteConnection(name.toLowerCase(), value)
    else if (name.length === 7 && name.toLowerCase() === 'upgrade') this.noteUpgrade(value)
  }

  private noteLength(name: string, value: string): void {
    if (name !== 'content-length') return
    if (this.length !== undefined)
      throw new MalformedResponse('the upstream sent more than one Content-Length')
    if (!DIGITS.test(value) || isTooLong(value))
      throw new MalformedResponse('the upstream sent an invalid Content-Length')
    this.length = value
    this.checkOneFraming()
  }

  private noteCoding(name: string, value: string): void {
    if (name !== 'transfer-encoding') return
    if (this.isChunked || this.isOld || value.toLowerCase() !== 'chunked') {
      throw new MalformedResponse('the upstream sent a Transfer-Encoding other than chunked')
    }
    this.isChunked = true
    this.checkOneFraming()
  }

  private checkOneFraming(): void {
    if (!this.isChunked || this.length === undefined) return
    throw new MalformedResponse('the upstream sent Transfer-Encoding together with Content-Length')
  }

  private noteConnection(name: string, value: string): void {
    if (name === 'keep-alive') this.noteHint(value)
    if (name !== 'connection') return
    for (const option of value.toLowerCase().split(',')) this.noteOption(option.trim())
  }

  private noteOption(option: string): void {
    if (option === 'close') this.asksToClose = true
    else if (option === 'keep-alive') this.asksToKeep = true
    else if (option === 'upgrade') this.namesUpgrade = true
  }

  private noteHint(value: string): void {
    const seconds = /(?:^|[,;\s])timeout\s*=\s*"?(\d+)/i.exec(value)?.[1]
    if (seconds !== undefined) this.keepAliveHint = Number(seconds)
  }

  /** Notes an `Upgrade` line. Several lines form a list, which is no single protocol. */
  private noteUpgrade(value: string): void {
    const protocol = value.toLowerCase()
    this.protocol = this.protocol === undefined ? protocol : `${this.protocol}, ${protocol}`
  }
}

function isTooLong(digits: string): boolean {
  if (digits.length <= EXACT_DIGITS) return false
  const significant = digits.replace(/^0+/, '')
  return significant.length > 20 || BigInt(significant || '0') > MAX_CONTENT_LENGTH
}
