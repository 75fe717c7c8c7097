import type { IncomingMessage } from 'node:http'

/** Returns the path that Express has stripped from `req.url` for a mount, as the client wrote it. */
export function mountOf(req: IncomingMessage): string {
  return (req as { baseUrl?: string }).baseUrl ?? ''
}

/** Returns path and query of an absolute URL (RFC 9112 §3.2.2), possibly empty; undefined for any other URL. */
export function restAfterAuthority(url: string): string | undefined {
  return /^[a-z][a-z\d+.-]*:\/\/[^/?#]*(.*)$/is.exec(url)?.[1]
}

/**
 * Tells whether the client asked for the mount and nothing below it, not even a slash (`/graphql`, `/graphql?x`);
 * `rest` is the part after the mount. Express adds a slash to `req.url` in that case.
 */
export function asksForMount(req: IncomingMessage, rest: string): boolean {
  if (rest !== '' && !rest.startsWith('?')) return false
  const { baseUrl = '', originalUrl = '' } = req as { baseUrl?: string; originalUrl?: string }
  if (baseUrl === '') return false
  const path = originalUrl.startsWith('/') ? originalUrl : restAfterAuthority(originalUrl)
  return path === baseUrl + rest
}

/**
 * Returns the rest of `path` after `prefix`, which has to end with a segment ('/v1' is no prefix of '/v10'). A slash
 * at the end of the prefix counts as the first character of the rest.
 */
export function restAfter(prefix: string, path: string): string | undefined {
  if (!path.startsWith(prefix)) return undefined
  const rest = path.slice(prefix.endsWith('/') ? prefix.length - 1 : prefix.length)
  return rest === '' || /^[/?#]/.test(rest) ? rest : undefined
}

/** Joins `base` and the rest of a path, without a double slash between them; the result is never empty. */
export function join(base: string, rest: string): string {
  const joined = base.endsWith('/') && rest.startsWith('/') ? base + rest.slice(1) : base + rest
  return joined === '' || /^[?#]/.test(joined) ? `/${joined}` : joined
}
