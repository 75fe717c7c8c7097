/**
 * Names of lines that belong to one connection and end with it, whichever way they go.
 * RFC 9110 §7.6.1, and what RFC 2616 §13.5.1 called hop-by-hop.
 */
export const hopByHopNames: readonly string[] = [
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authentication-info',
  'upgrade',
]

/** The lines nearly every message carries; they name nothing that is not stripped anyway. */
const common = /^(?:keep-alive|close|upgrade)$/i

/**
 * Adds what one `Connection` line names, lower-cased, to the names to be stripped.
 * Every line counts, also behind an empty one (CVE-2021-33197).
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1
 */
export function addConnectionOptions(named: Set<string> | undefined, line: string): Set<string> | undefined {
  if (common.test(line)) return named
  const all = named ?? new Set<string>()
  for (const option of line.split(',')) {
    all.add(option.trim().toLowerCase())
  }
  return all
}
