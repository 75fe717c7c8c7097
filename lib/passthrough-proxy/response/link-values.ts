/** Matches one value of a list (RFC 8288 §3): commas in a URL, or in a quoted string, separate nothing. */
const EACH = /(?:<[^<>]*>|"[^"]*"|[^,<"])+/g

/**
 * Matches the values that Node sends in a 103. Node's own pattern takes half a minute to refuse 60 KB of `=`, so it gets
 * only those that it accepts. This one never has two ways to read a character.
 */
const SENDABLE = /^<[^<>]*>(?:\s*;\s*[^;="\s]+(?:=(?:"[^;"\s]*"|[^;"\s]*))?)*$/

/**
 * Returns the values of a `Link` line that Node sends in a 103. It refuses a whole line of several values, although it
 * writes such lines itself, and values with spaces in quotes.
 */
export function sendableLinks(line: string): string[] {
  const values = line.match(EACH) ?? []
  return values.map((value) => value.trim()).filter((value) => SENDABLE.test(value))
}
