/**
 * The bound for the interim responses to one request: a megabyte of header lines, where each response counts for 64
 * characters more. Go limits their sum too; CPython and Ruby allow 100, which progress reports of an upload exceed.
 */
const MAX_CHARACTERS = 1024 * 1024
const RESPONSE_OVERHEAD = 64

/** Counts the interim responses to one request. */
export class InterimLimit {
  private characters = 0

  begin(): void {
    this.characters = 0
  }

  /** Counts one response. Returns false if there are too many. */
  count(lines: readonly string[]): boolean {
    this.characters += RESPONSE_OVERHEAD
    for (const part of lines) this.characters += part.length
    return this.characters <= MAX_CHARACTERS
  }
}
