import type { IncomingMessage } from 'node:http'

import { sluicewayError } from '../shared/errors.js'
import { show } from '../shared/options.js'

/** The path and query of a request: as received, or what the option `path` gives. */
export function requestPath(
  req: IncomingMessage,
  choose: ((req: IncomingMessage) => unknown) | undefined,
): string {
  return choose === undefined ? (req.url as string) : chosenPath(req, choose)
}

function chosenPath(req: IncomingMessage, choose: (req: IncomingMessage) => unknown): string {
  let chosen: unknown
  try {
    chosen = choose(req)
  } catch (cause) {
    throw sluicewayError('ERR_SLUICEWAY_PROXY_HOOK', { message: 'passthroughProxy: path failed', cause })
  }
  if (typeof chosen === 'string' && chosen.startsWith('/')) return chosen
  throw sluicewayError('ERR_SLUICEWAY_PROXY_HOOK', {
    message: `passthroughProxy: path must give a string that begins with '/', got ${show(chosen)}`,
  })
}

/**
 * Puts the target's prefix before the path of a request, which stays as it is, byte for byte.
 * The origin is no part of it, so no spelling of the path can reach another server.
 */
export function upstreamPath(prefix: string, url: string): string {
  const path = url.charCodeAt(0) === 0x2f ? url : originForm(url)
  if (prefix !== '' && mayClimb(path) && climbs(path)) {
    throw refused('its path leaves the prefix of the target')
  }
  return prefix + path
}

/** Takes the path out of an absolute-form target (RFC 9112 §3.2.2): whatever it names, the upstream is ours. */
function originForm(url: string): string {
  const path = /^[a-z][a-z\d+.-]*:\/\/[^/?#]*(.*)$/is.exec(url)?.[1]
  if (path === undefined) throw refused('its target is not a path')
  return path.startsWith('/') ? path : `/${path}`
}

function mayClimb(path: string): boolean {
  return path.includes('..') || /%2e/i.test(path)
}

/**
 * Tells whether the dot segments of a path lead above its root, in any reading that an upstream may have:
 * `%2e` as a dot, `%2f`, `%5c` and `\` as a slash, `;parameters` behind a segment, `//` as one slash.
 * @see GHSA-2q7r-29rg-6m5h
 */
function climbs(path: string): boolean {
  const end = path.search(/[?#]/)
  const plain = (end === -1 ? path : path.slice(0, end)).replace(/%2e/gi, '.').replace(/%2f|%5c|\\/gi, '/')
  let depth = 0
  for (const segment of plain.split('/')) {
    const name = segment.replace(/(?:;|%3b).*$/is, '')
    if (name === '..') depth -= 1
    else if (name !== '.' && segment !== '') depth += 1
    if (depth < 0) return true
  }
  return false
}

function refused(reason: string): Error {
  return sluicewayError('ERR_SLUICEWAY_PROXY_BAD_REQUEST', {
    message: `the request cannot be passed on: ${reason}`,
  })
}
