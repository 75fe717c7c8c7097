/**
 * The lines of responses that Node's HTTP/2 sends only once: if one is repeated, Node refuses the whole head. (Servers
 * may switch that off by `strictSingleValueFields`, from Node 24.)
 * @see https://github.com/nodejs/node/issues/59651
 */
const sentOnce: ReadonlySet<string> = new Set([
  'access-control-allow-credentials',
  'access-control-max-age',
  'access-control-request-method',
  'age',
  'authorization',
  'content-encoding',
  'content-language',
  'content-length',
  'content-location',
  'content-md5',
  'content-range',
  'content-type',
  'date',
  'dnt',
  'etag',
  'expires',
  'from',
  'host',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'last-modified',
  'location',
  'max-forwards',
  'proxy-authorization',
  'range',
  'referer',
  'retry-after',
  'tk',
  'upgrade-insecure-requests',
  'user-agent',
  'x-content-type-options',
])

/** Lists: here a value that is repeated counts twice. A body with two `gzip` was encoded twice. */
const lists: ReadonlySet<string> = new Set(['content-encoding', 'content-language'])

/**
 * Joins in place the values of such lines with commas, as RFC 9110 §5.3 allows, at the place of the first. A value that
 * is only repeated, as `nosniff` of two servers in a row, is sent once.
 */
export function joinSingleLines(lines: string[]): void {
  const places = new Map<string, number>()
  let kept = 0
  for (let i = 0; i < lines.length; i += 2) {
    const [name, value] = [lines[i] as string, lines[i + 1] as string]
    const key = name.toLowerCase()
    const first = places.get(key)
    if (first !== undefined) lines[first + 1] = joined(key, lines[first + 1] as string, value)
    else {
      if (sentOnce.has(key)) places.set(key, kept)
      lines[kept] = name
      lines[kept + 1] = value
      kept += 2
    }
  }
  lines.length = kept
}

function joined(name: string, before: string, value: string): string {
  return before === value && !lists.has(name) ? value : `${before}, ${value}`
}
