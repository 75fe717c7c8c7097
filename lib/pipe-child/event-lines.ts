import { StringDecoder } from 'node:string_decoder'

/** A longer line is sent in pieces of this many characters, so that it cannot fill the memory. */
const MAX_LINE_LENGTH = 1024 * 1024

/** Cuts the bytes of one stream into lines, and frames each line as a server-sent event. */
export class EventLines {
  private readonly decoder = new StringDecoder()
  private readonly eventField: string
  private partial = ''
  private afterCarriageReturn = false

  /** `event` is the name of the events. Without one, browsers call them 'message'. */
  constructor(event?: string) {
    this.eventField = event === undefined ? '' : `event: ${event}\n`
  }

  /** Returns the events for all lines that `chunk` completes, or ''. */
  push(chunk: Buffer): string {
    return this.frame(this.decoder.write(chunk))
  }

  /** Returns the event for the last line if it has no line end, otherwise ''. */
  end(): string {
    return this.frame(this.decoder.end()) + (this.partial === '' ? '' : this.event(this.partial))
  }

  private frame(text: string): string {
    // Only the new text is searched: a line may come in very many small pieces.
    const lines = this.withoutSplitLineEnd(text).split(/\r\n|\n|\r/)
    lines[0] = this.partial + lines[0]!
    this.partial = lines.pop()!
    if (this.partial.length >= MAX_LINE_LENGTH) {
      lines.push(this.partial)
      this.partial = ''
    }
    return lines.map((line) => this.event(line)).join('')
  }

  /** Removes the LF of a CRLF whose CR ended the last chunk. A CR ends its line at once, for progress bars. */
  private withoutSplitLineEnd(text: string): string {
    const rest = this.afterCarriageReturn && text.startsWith('\n') ? text.slice(1) : text
    this.afterCarriageReturn = text.endsWith('\r')
    return rest
  }

  private event(line: string): string {
    return `${this.eventField}data: ${line}\n\n`
  }
}
