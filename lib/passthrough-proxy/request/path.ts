import type { IncomingMessage } from 'node:http'
import { sluicewayError } from '../../shared/errors.js'
import { show } from '../../shared/options.js'
import { atOnce } from '../../shared/promises.js'
import { asksForMount, restAfterAuthority } from '../mount-path.js'
import type { Target } from '../target.js'
import { refusedRequest } from '../upstream-errors.js'

/**
 * Returns path and query of a request: as received, or the result of the option `path`. The path is empty if the
 * client asked for the mount itself, or if the application has cut its beginning off and nothing was left.
 */
export function requestPath(
  req: IncomingMessage,
  choose: ((req: IncomingMessage) => unknown) | undefined,
): string {
  if (choose !== undefined) return chosenPath(req, choose)
  const url = req.url as string
  if (url.charCodeAt(0) !== 0x2f) return isCutOff(url) ? url : originForm(url, req)
  const rest = url.slice(1)
  return asksForMount(req, rest) ? rest : url
}

const PATH = { owner: 'passthroughProxy', key: 'path' }

function chosenPath(req: IncomingMessage, choose: (req: IncomingMessage) => unknown): string {
  let chosen: unknown
  try {
    chosen = atOnce(choose(req), PATH)
  } catch (cause) {
    throw sluicewayError('ERR_SLUICEWAY_PROXY_HOOK', { message: 'passthroughProxy: path failed', cause })
  }
  if (typeof chosen === 'string' && chosen.startsWith('/')) return chosen
  throw sluicewayError('ERR_SLUICEWAY_PROXY_HOOK', {
    message: `passthroughProxy: path must return a string that begins with '/', got ${show(chosen)}`,
  })
}

/**
 * Puts the target's prefix before the path of a request, which is not changed. The origin is not part of the path, so
 * no spelling of it can reach another server.
 */
export function upstreamPath({ prefix, root }: Target, path: string): string {
  // The path is empty, or only a query.
  if (path.charCodeAt(0) !== 0x2f) return root + path
  if (prefix !== '' && mayClimb(path) && climbs(path)) {
    throw refusedRequest('its path leaves the prefix of the target')
  }
  return prefix + path
}

/**
 * Takes the path out of an absolute-form target (RFC 9112 §3.2.2); its host does not matter, as the target is fixed.
 */
function originForm(url: string, req: IncomingMessage): string {
  const path = restAfterAuthority(url)
  if (path === undefined) throw refusedRequest('its target is not a path')
  return path.startsWith('/') || asksForMount(req, path) ? path : `/${path}`
}

/** Recognizes the rest of `/api` or `/api?x` in an application that cuts `/api` off itself. No HTTP/1 client sends it. */
function isCutOff(url: string): boolean {
  return url === '' || url.startsWith('?')
}

function mayClimb(path: string): boolean {
  return path.includes('..') || ENCODED_DOT.test(path)
}

const ENCODED_DOT = /%(?:u00)?2e/i

const ENCODED_DOTS = /%(?:u00)?2e/gi

/**
 * Matches characters that only some servers read as a slash: Windows and browsers `\`, others after decoding too
 * early.
 */
const MAYBE_SLASH = /\\|%(?:u00)?(?:2f|5c)/i

/** Matches the beginning of a part that only some servers cut off a segment: `;parameters`, or a fragment. */
const MAYBE_CUT = /[;#]|%(?:u00)?3b/i

/**
 * Tells whether the dot segments of a path may lead above its root. Servers read a path in different ways, so this
 * follows the lowest depth that any of them can reach: a segment goes up a level if one server reads it so, and down
 * only if all servers do.
 * @see GHSA-2q7r-29rg-6m5h
 */
function climbs(path: string): boolean {
  const end = path.indexOf('?')
  const segments = (end === -1 ? path : path.slice(0, end)).replace(ENCODED_DOTS, '.').split('/')
  let depth = 0
  for (const segment of segments) {
    depth = lowestAfter(segment, depth)
    if (depth < 0) return true
  }
  return false
}

/** Returns the lowest depth that a segment may lead to; a depth below 0 on the way ends the search. */
function lowestAfter(segment: string, depth: number): number {
  let lowest = depth
  // The lowest depth for a server that reads the last slashes as part of the name.
  let unsplit = Infinity
  for (const part of segment.split(MAYBE_SLASH)) {
    const before = lowest
    const cut = part.search(MAYBE_CUT)
    const levels = levelsOf(cut === -1 ? part : part.slice(0, cut))
    lowest = Math.min(before + levels, unsplit)
    if (lowest < 0) return lowest
    // If a server reads the next slash as part of the name, the name continues after it. If parameters are cut off, so
    // is all that follows.
    unsplit = Math.min(unsplit, before + (cut === -1 ? 1 : levels))
  }
  return lowest
}

function levelsOf(name: string): number {
  if (name === '..') return -1
  // Many servers read `//` as one slash.
  return name === '' || name === '.' ? 0 : 1
}
