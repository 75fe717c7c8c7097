/**
 * How much one request may get of interim responses: a megabyte of header lines, as long as each response counts
 * for 64 characters more. Go bounds their sum too; CPython and Ruby take 100, which reports of an upload's progress pass.
 */
const MOST_CHARACTERS = 1024 * 1024
const EACH = 64

export const TOO_MANY_INTERIM = 'the upstream sent too many interim responses'

/** Counts the interim responses to one request. */
export class InterimLimit {
  private characters = 0

  begin(): void {
    this.characters = 0
  }

  /** Counts one. Returns false where there are too many. */
  count(lines: readonly string[]): boolean {
    this.characters += EACH
    for (const part of lines) this.characters += part.length
    return this.characters <= MOST_CHARACTERS
  }
}
