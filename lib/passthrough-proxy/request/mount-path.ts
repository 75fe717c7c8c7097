import type { IncomingMessage } from 'node:http'

/** The path that Express has stripped from `req.url` for a mount, as the client wrote it. */
export function mountOf(req: IncomingMessage): string {
  return (req as { baseUrl?: string }).baseUrl ?? ''
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
