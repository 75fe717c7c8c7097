import { rewriteCookie } from './cookies.js'
import { rewriteRefresh } from './location.js'
import type { Place, Rewrite } from './rewrite-rule.js'

/** The headers of an answer that are rewritten. */
export interface Rewrites {
  readonly location: Rewrite | undefined
  readonly cookieDomain: Rewrite | undefined
  readonly cookiePath: Rewrite | undefined
}

type Step = (value: string, rewrites: Rewrites, place: Place) => string

/** The rewriting functions, by the lower-cased name of the line. */
const steps: ReadonlyMap<string, Step> = new Map<string, Step>([
  ['location', rewriteUrl],
  ['content-location', rewriteUrl],
  ['refresh', (value, { location }, place) => (location ? rewriteRefresh(value, location, place) : value)],
  [
    'set-cookie',
    (value, { cookieDomain: domain, cookiePath: path }, place) =>
      rewriteCookie(value, { domain, path }, place),
  ],
])

/** Replaces the upstream's names by those that the client knows, line by line, in place. */
export function rewriteHeaders(lines: string[], rewrites: Rewrites, place: Place): void {
  for (let i = 0; i < lines.length; i += 2) {
    const step = steps.get((lines[i] as string).toLowerCase())
    if (step !== undefined) lines[i + 1] = step(lines[i + 1] as string, rewrites, place)
  }
}

function rewriteUrl(value: string, { location }: Rewrites, place: Place): string {
  return location?.(value, place) ?? value
}
