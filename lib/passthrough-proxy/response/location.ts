import type { IncomingMessage } from 'node:http'
import { URL } from 'node:url'
import { join, mountOf, restAfter } from '../mount-path.js'
import type { Place, Rewrite, RuleKind } from './rewrite-rule.js'

/** Reads the URLs of `rewriteLocation`. */
export const locationRule: RuleKind = {
  expected: "a URL or a path such as 'https://www.example.org/api'",
  isReplacement: (text) => /^\/(?![/\\])[^?#]*$/.test(text) || isPlainUrl(text),
  own(value, replacement, place) {
    const rest = restOf(value, place)
    return rest === undefined ? undefined : onSameHost(join(replacement ?? mountOf(place.req), rest))
  },
  named(value, from, to) {
    const rest = restAfter(from, value)
    return rest === undefined ? undefined : onSameHost(join(to, rest))
  },
}

/** Rewrites `Refresh: 5; url=…`, whose URL is like that of `Location`. */
export function rewriteRefresh(value: string, rewrite: Rewrite, place: Place): string {
  const [, begin, quote, url] = /^([^=]*url=)(["']?)(.*)\2$/i.exec(value) ?? []
  const rewritten = url === undefined ? undefined : rewrite(url, place)
  return rewritten === undefined ? value : `${begin}${quote}${rewritten}${quote}`
}

function isPlainUrl(text: string): boolean {
  return /^https?:\/\/[^/?#\\@]+(?:\/[^?#]*)?$/i.test(text) && URL.canParse(text)
}

/** Returns the part after the upstream's own origin and prefix; undefined if a URL leads elsewhere. */
function restOf(url: string, place: Place): string | undefined {
  const { prefix } = place.target
  const [, scheme, authority, path] = /^(?:([a-z][a-z\d+.-]*):)?\/\/([^/?#\\]*)(.*)$/is.exec(url) ?? []
  if (authority !== undefined) {
    return isOwn(scheme, authority, place) ? restAfter(prefix, path as string) : undefined
  }
  // A URL relative to the requested one is the same on both sides; browsers read `/\` as `//`.
  return /^\/(?!\\)/.test(url) ? restAfter(prefix, url) : undefined
}

/**
 * Longer than any spelling of a real host. The time that Node takes for a host with characters beyond ASCII grows with
 * the square of its length: 300 ms for one that fills a head.
 */
const MAX_AUTHORITY_LENGTH = 1024

/** Tells whether an origin is the upstream's own. With `preserveHost` that is also the client's Host. */
function isOwn(scheme: string | undefined, authority: string, { req, target, preserveHost }: Place): boolean {
  if (preserveHost && authority.toLowerCase() === clientsHost(req)?.toLowerCase()) return true
  if (authority.length > MAX_AUTHORITY_LENGTH) return false
  const url = `${scheme ?? target.origin.slice(0, target.origin.indexOf(':'))}://${authority}`
  return !authority.includes('@') && URL.canParse(url) && new URL(url).origin === target.origin
}

/** Returns the host that the client asked for; over HTTP/2 it is `:authority` (RFC 9113 §8.3.1). */
function clientsHost({ headers }: IncomingMessage): string | undefined {
  const authority = headers[':authority']
  return typeof authority === 'string' ? authority : headers.host
}

/** Keeps a path that begins with two slashes on this host: it would name another one (RFC 3986 §4.2). */
function onSameHost(location: string): string {
  return /^\/[\t]*[/\\]/.test(location) ? `/.${location}` : location
}
