/**
 * The names of lines that belong to one connection and end with it, in either direction: RFC 9110 §7.6.1, and those
 * that RFC 2616 §13.5.1 called hop-by-hop. HTTP2-Settings belongs to an upgrade to h2c (RFC 7540 §3.2.1); Node refuses it
 * over HTTP/2, and in trailers by an exception that ends the process.
 */
export const hopByHopNames: readonly string[] = [
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authentication-info',
  'upgrade',
  'http2-settings',
]

/** Matches the value of nearly every `Connection` line; it names only lines that are removed anyway. */
const COMMON = /^(?:keep-alive|close|upgrade)$/i

/**
 * Adds the names on one `Connection` line, lower-cased, to the names to be removed. Every line counts, even after an
 * empty one (CVE-2021-33197).
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1
 */
export function addConnectionOptions(named: Set<string> | undefined, line: string): Set<string> | undefined {
  if (COMMON.test(line)) return named
  const all = named ?? new Set<string>()
  for (const option of line.split(',')) {
    all.add(option.trim().toLowerCase())
  }
  return all
}
