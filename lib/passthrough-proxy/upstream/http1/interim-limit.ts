import { MalformedResponse } from './line-section.js'

/**
 * How much one request may get of interim responses: a megabyte of header lines, as long as each response counts
 * for 64 characters more. Go bounds their sum too; CPython and Ruby take 100, which reports of an upload's progress pass.
 */
const MOST_CHARACTERS = 1024 * 1024
const EACH = 64

/** Counts the interim responses to one request. */
export class InterimLimit {
  private characters = 0

  begin(): void {
    this.characters = 0
  }

  /** Counts one, or throws where there are too many. */
  count(lines: readonly string[]): void {
    this.characters += EACH
    for (const part of lines) this.characters += part.length
    if (this.characters <= MOST_CHARACTERS) return
    throw new MalformedResponse('the upstream sent too many interim responses')
  }
}
