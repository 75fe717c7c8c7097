import { join, mountOf, restAfter } from '../mount-path.js'
import type { Place, Rewrite, RuleKind } from './rewrite-rule.js'

/** Reads the domains of `cookieDomain`; '' removes the attribute. */
export const domainRule: RuleKind = {
  expected: "a domain such as 'example.org', or '' for none",
  isReplacement: (text) => /^(?:\.?[a-z\d-]+(?:\.[a-z\d-]+)*)?$/i.test(text),
  own(value, replacement, { target }) {
    const domain = bare(value)
    const isOwn = target.hostname === domain || target.hostname.endsWith(`.${domain}`)
    return isOwn ? (replacement ?? '') : undefined
  },
  named: (value, from, to) => (from === '*' || bare(from) === bare(value) ? to : undefined),
}

/** Reads the paths of `cookiePath`. */
export const pathRule: RuleKind = {
  expected: "a path such as '/api'",
  isReplacement: (text) => /^\/[\x20-\x3a\x3c-\x7e]*$/.test(text),
  own(value, replacement, { req, target }) {
    // Without a path, browsers use that of the URL they requested, which is already the client's own.
    const rest = value === '' ? undefined : restAfter(target.prefix, value)
    if (rest === undefined) return undefined
    // '/' stands for the whole upstream here; '/api/' would not be sent to '/api' (RFC 6265 §5.1.4).
    const isWhole = rest === '/' && target.prefix === ''
    // A mount with a parameter contains text of the client, which must not add an attribute.
    return join(replacement ?? mountOf(req), isWhole ? '' : rest).replaceAll(';', '%3B')
  },
  named(value, from, to) {
    const rest = from === '*' ? '' : restAfter(from, value)
    return rest === undefined ? undefined : join(to, rest)
  },
}

/**
 * Rewrites the attributes of one `Set-Cookie` line, split as browsers do, at each ';' (RFC 6265 §5.2). A `__Host-`
 * cookie is left alone: browsers refuse it with a Domain, or a Path other than '/'.
 */
export function rewriteCookie(line: string, rewrites: AttributeRewrites, place: Place): string {
  const [pair = '', ...attributes] = line.split(';')
  if (/^\s*__host-/i.test(pair)) return line
  const kept = attributes.flatMap((attribute) => rewriteAttribute(attribute, rewrites, place))
  return [pair, ...kept].join(';')
}

/** The rewriting functions, by the lower-cased name of the attribute. */
type AttributeRewrites = Readonly<Record<string, Rewrite | undefined>>

function rewriteAttribute(attribute: string, rewrites: AttributeRewrites, place: Place): string[] {
  const equals = attribute.indexOf('=')
  if (equals === -1) return [attribute]
  const name = attribute.slice(0, equals).trim().toLowerCase()
  const rewrite = Object.hasOwn(rewrites, name) ? rewrites[name] : undefined
  const rewritten = rewrite?.(attribute.slice(equals + 1).trim(), place)
  if (rewritten === undefined) return [attribute]
  return rewritten === '' ? [] : [attribute.slice(0, equals + 1) + rewritten]
}

/** Removes a leading dot, which has no meaning (RFC 6265 §5.2.3). */
function bare(domain: string): string {
  return domain.replace(/^\./, '').toLowerCase()
}
