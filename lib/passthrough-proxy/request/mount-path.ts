import type { IncomingMessage } from 'node:http'

/** The path that Express has stripped from `req.url` for a mount, as the client wrote it. */
export function mountOf(req: IncomingMessage): string {
  return (req as { baseUrl?: string }).baseUrl ?? ''
}

/** The path and query of an absolute URL (RFC 9112 §3.2.2), of which they may be empty; undefined where it is none. */
export function behindAuthority(url: string): string | undefined {
  return /^[a-z][a-z\d+.-]*:\/\/[^/?#]*(.*)$/is.exec(url)?.[1]
}

/**
 * Tells whether the client asked for the mount and nothing below it, not even a slash (`/graphql`, `/graphql?x`); `rest`
 * is what follows the mount. Express puts a slash into `req.url` then.
 */
export function asksForMount(req: IncomingMessage, rest: string): boolean {
  if (rest !== '' && !rest.startsWith('?')) return false
  const { baseUrl = '', originalUrl = '' } = req as { baseUrl?: string; originalUrl?: string }
  if (baseUrl === '') return false
  const path = originalUrl.startsWith('/') ? originalUrl : behindAuthority(originalUrl)
  return path === baseUrl + rest
}

/**
 * What stands behind `prefix` in `path`, where the prefix ends with a segment ('/v1' is no prefix of '/v10').
 * A slash at its end is taken for the first character of the rest.
 */
export function behind(prefix: string, path: string): string | undefined {
  if (!path.startsWith(prefix)) return undefined
  const rest = path.slice(prefix.endsWith('/') ? prefix.length - 1 : prefix.length)
  return rest === '' || /^[/?#]/.test(rest) ? rest : undefined
}

/** Puts `base` before what stood behind a prefix; never with two slashes between them, and never nothing. */
export function join(base: string, rest: string): string {
  const joined = base.endsWith('/') && rest.startsWith('/') ? base + rest.slice(1) : base + rest
  return joined === '' || /^[?#]/.test(joined) ? `/${joined}` : joined
}
