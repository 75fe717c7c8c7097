/** The page with an entry for each error. It is a path in the repository until the package has a public address. */
const PAGE = 'docs/errors.md'

/** An entry of that page: the code of an error in lower case, or the anchor of a heading for errors without a code. */
export type Entry =
  | Lowercase<`ERR_SLUICEWAY_${string}`>
  | 'a-wrong-option'
  | 'a-request-that-is-not-a-stream'
  | 'a-thrown-value-that-is-not-an-error'

/**
 * Appends the address of its entry to a message for developers. A message that a client may read (status below 500)
 * stays unchanged: applications send or compare it, as they do with body-parser's, and its `code` names the entry.
 */
export function withEntry(message: string, entry: Entry): string {
  return `${message} (see ${PAGE}#${entry})`
}

/** Creates the error for a wrong option or argument, or for options that contradict each other. */
export function wrongOption(message: string): TypeError {
  return new TypeError(withEntry(message, 'a-wrong-option'))
}
