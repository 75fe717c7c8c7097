import type { IncomingMessage } from 'node:http'
import { wrongOption } from '../shared/error-page.js'
import { wrongKind, type OptionCheck, type OptionName } from '../shared/options.js'
import type { RequestHook, ResponseHook } from './hooks.js'
import { Progress } from './progress.js'
import type { ForwardedMode } from './request/forwarded.js'
import type { Rewrite } from './response/rewrite-rule.js'
import type { Rewrites } from './response/rewrite.js'
import { createClient } from './upstream/http1/client.js'
import type { ConnectOptions } from './upstream/http1/connect-options.js'
import { dispatcherUpstream } from './upstream/undici/adapter.js'
import type { Dispatcher } from './upstream/undici/dispatcher.js'
import type { Upstream } from './upstream/upstream.js'

/** The checked options of one proxy. */
export interface ProxySettings {
  readonly upstream: Upstream
  readonly progress: Progress
  readonly path: ((req: IncomingMessage) => string) | undefined
  readonly preserveHost: boolean
  readonly forwarded: ForwardedMode
  readonly onRequest: RequestHook | undefined
  readonly onResponse: ResponseHook | undefined
  /** The rules for the headers of answers; undefined without any. */
  readonly rewrites: Rewrites | undefined
  readonly headersTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly maxQueue: number
  /** The upgrade tokens, lower-cased. */
  readonly upgrade: ReadonlySet<string>
}

/** The options after each was checked separately. */
export interface CheckedOptions extends Omit<ProxySettings, 'upstream' | 'progress' | 'rewrites'> {
  readonly dispatcher: Dispatcher | undefined
  readonly connect: ConnectOptions | undefined
  readonly connectTimeoutMs: number
  readonly maxConnections: number
  readonly maxResponseHeadBytes: number
  readonly rewriteLocation: Rewrite | undefined
  readonly cookieDomain: Rewrite | undefined
  readonly cookiePath: Rewrite | undefined
}

/** The options as the caller gave them. */
type GivenOptions = Partial<Record<keyof CheckedOptions, unknown>>

/** The name of the middleware in messages. */
export const OWNER = 'passthroughProxy'

/**
 * Creates the settings from checked options, and chooses the way upstream: the built-in client or the caller's
 * dispatcher.
 */
export function settingsOf(given: CheckedOptions, options: GivenOptions = {}): ProxySettings {
  rejectContradictions(options)
  return Object.freeze({
    ...given,
    rewrites: rewritesOf(given),
    upstream: upstreamOf(given),
    progress: new Progress(),
  })
}

/**
 * Creates the upstream. It gets only the client's own options: proxies that differ in others share its connections.
 */
function upstreamOf(given: CheckedOptions): Upstream {
  if (given.dispatcher !== undefined) return dispatcherUpstream(given.dispatcher)
  const { connect, connectTimeoutMs, maxConnections, maxResponseHeadBytes } = given
  return createClient({ connect, connectTimeoutMs, maxConnections, maxResponseHeadBytes })
}

function rewritesOf({ rewriteLocation, cookieDomain, cookiePath }: CheckedOptions): Rewrites | undefined {
  const isOff = (rewriteLocation ?? cookieDomain ?? cookiePath) === undefined
  return isOff ? undefined : { location: rewriteLocation, cookieDomain, cookiePath }
}

/** Accepts a list of upgrade tokens. */
export function tokens(fallback: readonly string[]): OptionCheck<ReadonlySet<string>> {
  return (given, option) => {
    const list = given === undefined ? fallback : given
    if (!Array.isArray(list)) throw wrongKind(option, "a list of upgrade tokens such as 'websocket'", given)
    const lowerCased = list.map((token: unknown, index) =>
      readToken(token, { ...option, key: `${option.key}[${index}]` }),
    )
    rejectCleartextHttp2(lowerCased, option)
    return new Set(lowerCased)
  }
}

function readToken(token: unknown, option: OptionName): string {
  if (typeof token === 'string' && /^[\w!#$%&'*+./^`|~-]+$/.test(token)) return token.toLowerCase()
  throw wrongKind(option, "an upgrade token such as 'websocket'", token)
}

/** Throws for h2c: a tunnel of HTTP/2 would bypass every rule of this app (golang/go#80416). */
function rejectCleartextHttp2(list: readonly string[], option: OptionName): void {
  if (list.includes('h2c')) throw wrongKind(option, "a list without 'h2c', which is never tunnelled", list)
}

/** The options of the built-in client. */
const ofClient = ['connect', 'connectTimeoutMs', 'maxConnections', 'maxResponseHeadBytes'] as const

/** Throws for options that another one would make wrong or ineffective. */
function rejectContradictions(given: GivenOptions): void {
  for (const key of ofClient) {
    if (given.dispatcher !== undefined && given[key] !== undefined) {
      throw wrongOption(
        `${OWNER}: option "${key}" belongs to the built-in client; set it on your dispatcher instead`,
      )
    }
  }
  for (const key of ['rewriteLocation', 'cookiePath'] as const) {
    if (given.path !== undefined && given[key] === true) {
      throw wrongOption(
        `${OWNER}: option "${key}" cannot be true together with "path", which cannot be reversed; give it a string, an object or a function`,
      )
    }
  }
}
