import type { IncomingMessage } from 'node:http'
import { URL as NodeUrl } from 'node:url'
import { wrongOption } from '../shared/error-page.js'
import type { SluicewayError } from '../shared/errors.js'
import { show } from '../shared/options.js'
import { hookError } from './hooks.js'
import { newMark } from './request/loop.js'

/** The destination of requests, parsed once. */
export interface Target {
  readonly origin: string
  readonly hostname: string
  /** The path that precedes the path of every request, without a slash at its end: '' or '/api'. */
  readonly prefix: string
  /** The path if nothing follows the mount, not even a slash: the target's path as it is written. */
  readonly root: string
  /** The mark that a request carries after it was sent here. */
  readonly mark: string
}

/** A target as the caller writes it. */
export type GivenTarget = string | URL

/** The result of a target function: undefined or null if it knows no further target. */
export type ChosenTarget = GivenTarget | undefined | null

/** A target to which a request could not be sent. */
export interface FailedTarget {
  /** The result of the target function. */
  readonly target: GivenTarget
  /** The error that `next` gets if no other target takes the request. */
  readonly error: SluicewayError
  /** The number of targets that were tried for the request so far, from 1. */
  readonly attempt: number
}

/**
 * Chooses the upstream of one request. It is called again, with the failure, if no server has received any part of
 * the request: no connection, a certificate that is not trusted, or a full queue. Another target is tried then;
 * undefined, or a target that has failed already, ends the request with that error.
 */
export type TargetFunction = {
  choose(req: IncomingMessage, failed?: FailedTarget): ChosenTarget | Promise<ChosenTarget>
}['choose']

const UNIX_SOCKET =
  "cannot name a Unix socket; give 'http://localhost' and connect: { socketPath: '/path/of.sock' }"

const NONE =
  'is missing for this request; a middleware before the proxy can answer requests that have none, with a 404 for instance'

/** Parses a target. Throws a TypeError that says what is wrong with it. */
export function parseTarget(target: string | URL): Target {
  const url = parseUrl(isUrl(target) ? target.href : target)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    if (url.protocol === 'unix:') throw complaint(UNIX_SOCKET)
    throw complaint(
      `must be an http: or https: URL, got ${JSON.stringify(String(target))}${hintFor(String(target))}`,
    )
  }
  if (url.hostname === 'unix' && isSocketUrl(target)) throw complaint(UNIX_SOCKET)
  rejectMore(url)
  if (url.hostname === 'undefined') throw complaint(`${MUST_BE_URL}, got ${show(String(target))}${UNSET}`)
  return {
    origin: url.origin,
    hostname: url.hostname,
    prefix: url.pathname.replace(/\/$/, ''),
    root: url.pathname,
    mark: newMark(),
  }
}

/** Throws if a URL has parts that would be ignored. The message does not show them, because they may be secret. */
function rejectMore(url: URL): void {
  const parts = []
  if (url.search !== '') parts.push('a query')
  if (url.hash !== '') parts.push('a fragment')
  const hasLogin = url.username !== '' || url.password !== ''
  if (hasLogin) parts.push('credentials')
  if (parts.length === 0) return
  const shown = `${JSON.stringify(url.origin + url.pathname)} with ${parts.join(' and ')}`
  const remedy = hasLogin ? `; set the header in "onRequest": outgoing.headers.set('Authorization', …)` : ''
  throw complaint(`must have no query, fragment or credentials, got ${shown}${remedy}`)
}

/** Recognizes a URL of any realm: that of a test runner has a class of its own. */
function isUrl(given: unknown): given is URL {
  const { href } = (given ?? {}) as Partial<URL>
  return typeof given === 'object' && typeof href === 'string' && NodeUrl.canParse(href)
}

/** Recognizes the URL of a Unix socket as other packages write it, whose colon URL takes for an empty port. */
function isSocketUrl(target: string | URL): boolean {
  return /^https?:\/\/unix:\//i.test(String(target))
}

const OBJECTS = {
  list: 'an array; a function chooses among several: passthroughProxy((req, failed) => target)',
  options: 'an object; call passthroughProxy(target, options)',
} as const

function parseUrl(target: unknown): URL {
  if (typeof target === 'string' && NodeUrl.canParse(target)) return new NodeUrl(target)
  if (typeof target === 'string' && /^\/.*\.sock$/.test(target)) throw complaint(UNIX_SOCKET)
  // As in createProxyMiddleware({ target, … }).
  const isOptions = typeof target === 'object' && target !== null
  const given = isOptions ? OBJECTS[Array.isArray(target) ? 'list' : 'options'] : show(target)
  throw complaint(`${MUST_BE_URL}, got ${given}${hintFor(target)}`)
}

const MUST_BE_URL = "must be a URL such as 'http://127.0.0.1:8080'"

const UNSET =
  "; if it comes from an environment variable, that variable is not set: set it, or give a default with ||, as in process.env['UPSTREAM'] || 'http://127.0.0.1:8080'"

/** No text, or what a template literal makes of a target, a host or a port that is not set. */
const IS_UNSET = /^(?:$|(?:\w+:\/\/)?(?:[^/]+:)?undefined(?:[:/]|$))/

/** A name with dots, or any host with a port, before a path. */
const HOST = /^(?:[\w-]+(?:\.[\w-]+)+|localhost|(?:[\w.-]+|\[[\da-f:]+\]):\d+)(?:\/|$)/i

/**
 * Suggests a remedy for a target that is not set, and the URL for one without a scheme (`//localhost:4000`, or
 * `localhost:4000`, whose host URL takes for a scheme) or of a WebSocket.
 */
function hintFor(target: unknown): string {
  if (target === undefined) return UNSET
  if (typeof target === 'number') return `; did you mean 'http://127.0.0.1:${target}'?`
  if (typeof target !== 'string') return ''
  if (IS_UNSET.test(target)) return UNSET
  if (/^\/(?!\/)/.test(target))
    return `; paths belong to the mount: app.use('${target}', passthroughProxy(target))`
  if (/^wss?:/.test(target)) return `; did you mean '${target.replace('ws', 'http')}'?`
  const host = target.replace(/^\/\//, '')
  return HOST.test(host) ? `; did you mean 'http://${host}'?` : ''
}

function complaint(problem: string): TypeError {
  return wrongOption(`passthroughProxy: target ${problem}`)
}

/** The number of remembered targets of a function, which may return any number of them. */
const MAX_TARGETS = 256

/** A target function, whose results are parsed only once. */
export class TargetChooser {
  readonly choose: TargetFunction
  private readonly known = new Map<string, Target>()

  constructor(choose: TargetFunction) {
    this.choose = choose
  }

  /** Parses a result of the function. Throws an error of a hook. */
  parse(chosen: ChosenTarget): Target {
    // Anything else is refused, and may have no text.
    const key = typeof chosen === 'string' || isUrl(chosen) ? String(chosen) : ''
    const known = this.known.get(key)
    if (known !== undefined) return known
    const target = parseChosen(chosen)
    if (this.known.size >= MAX_TARGETS) this.known.clear()
    this.known.set(key, target)
    return target
  }
}

function parseChosen(chosen: ChosenTarget): Target {
  try {
    if (chosen === undefined || chosen === null) throw complaint(NONE)
    return parseTarget(chosen)
  } catch (cause) {
    throw hookError('the target function failed', cause)
  }
}
