/** Matches one link of a list (RFC 8288 §3): commas in a URL, or in a quoted string, separate nothing. */
const EACH = /(?:<[^<>]*>?|"[^"]*"?|[^,<"])+/g

/**
 * Matches the links that Node sends in a 103, and has only one way to read each character. Node's own expression takes
 * twice as long with each further parameter of a link that it refuses, so it gets only those that it accepts.
 */
const SENDABLE = /^<[^>]*>(?:\s*;\s*[^;"\s]+(?:="[^;"\s]*")?)*$/

/**
 * Returns the links of a `Link` line that Node sends in a 103. It refuses a whole line of several links, although it
 * writes such lines itself, and links with spaces in quotes.
 */
export function sendableLinks(line: string): string[] {
  const links = line.match(EACH) ?? []
  return links.map((link) => link.trim()).filter((link) => SENDABLE.test(link))
}
