import type { IncomingMessage, ServerResponse } from 'node:http'
import { shareHiddenClass } from './node/hidden-class.js'
import { mayHaveUnannouncedBody } from './node/request/facts.js'
import { timers } from './node/timers.js'
import { Exchange } from './passthrough-proxy/exchange.js'
import type { RequestHook, ResponseHook } from './passthrough-proxy/hooks.js'
import { namesElsewhere } from './passthrough-proxy/names-elsewhere.js'
import { lifecycleOf, type ProxyStats } from './passthrough-proxy/progress.js'
import { type ProxyHandler, requireNextOrNone } from './passthrough-proxy/proxy-handler.js'
import { mayBeBuffered } from './passthrough-proxy/request/buffered-body.js'
import { draftOf, readHead } from './passthrough-proxy/request/draft.js'
import type { ForwardedMode } from './passthrough-proxy/request/forwarded.js'
import { domainRule, pathRule } from './passthrough-proxy/response/cookies.js'
import { locationRule } from './passthrough-proxy/response/location.js'
import { rewriteRule, type RewriteRule } from './passthrough-proxy/response/rewrite-rule.js'
import { sendDraft } from './passthrough-proxy/send-draft.js'
import {
  OWNER,
  settingsOf,
  tokens,
  type CheckedOptions,
  type ProxySettings,
} from './passthrough-proxy/settings.js'
import {
  parseTarget,
  TargetChooser,
  type FailedTarget,
  type Target,
  type TargetFunction,
} from './passthrough-proxy/target.js'
import { connectOptions, type ConnectOptions } from './passthrough-proxy/upstream/http1/connect-options.js'
import { dispatcherOption, type Dispatcher } from './passthrough-proxy/upstream/undici/dispatcher.js'
import { waitingProxy } from './passthrough-proxy/waiting-proxy.js'
import type { NextFunction } from './shared/middleware.js'
import {
  byteSize,
  callback,
  flag,
  oneOf,
  timeLimit,
  wholeNumber,
  type ByteSize,
} from './shared/option-checks.js'
import { readOptions, rejectFurther, rejectRequest, type OptionChecks } from './shared/options.js'

export type { BodyTransform } from './passthrough-proxy/hook-bodies/body-transform.js'
export type { HeaderList } from './passthrough-proxy/headers/header-list.js'
export type {
  BufferOptions,
  IncomingResponse,
  OutgoingRequest,
  ReplacementBody,
} from './passthrough-proxy/hooks.js'
export type { ConnectOptions, Dispatcher, ForwardedMode, RequestHook, ResponseHook }
export type { FailedTarget, ProxyStats, RewriteRule, TargetFunction }

/** The options of `passthroughProxy`, all of them optional. */
export interface PassthroughProxyOptions {
  /**
   * A dispatcher that replaces the built-in client, for HTTP/2, balanced pools, corporate proxies or mocks. The
   * caller owns it: this package never closes it. Without one, requests go out over HTTP/1.1: connections are kept
   * alive and shared by all proxies with equal options, each carries one request at a time, and TLS certificates are
   * verified.
   */
  readonly dispatcher?: Dispatcher | undefined
  /**
   * Returns the path and query to request from the upstream, without the target's prefix. They must begin with '/'.
   * The default is `req.url`: the path as received, byte for byte, without the part that Express strips for a mount,
   * and without the slash that Express adds if a request asks for the mount itself.
   */
  readonly path?: { path(req: IncomingMessage): string }['path'] | undefined
  /** True sends the client's Host to the upstream, false the upstream's own. @default false */
  readonly preserveHost?: boolean | undefined
  /**
   * Sets X-Forwarded-For, -Host and -Proto. 'replace' describes this connection, whatever the client sent, and
   * removes `Forwarded`, X-Real-IP and every other X-Forwarded-… header. 'append' adds the client's address to the
   * list. 'auto' is 'append' if Express's `trust proxy` trusts the peer, else 'replace'. false passes the headers on.
   * @default 'auto'
   */
  readonly forwarded?: ForwardedMode | undefined
  /**
   * Changes method, path, headers or body of the request before it is sent; it may be asynchronous. It runs after
   * hop-by-hop headers are removed, and nothing is removed after it. It is not called for a request that is refused.
   * An exception is a 500 (ERR_SLUICEWAY_PROXY_HOOK).
   */
  readonly onRequest?: RequestHook | undefined
  /**
   * Changes status, headers and body of the response before its head is sent; it may be asynchronous. It is not called
   * for interim (1xx) responses, nor if the upstream fails. An exception is a 500 (ERR_SLUICEWAY_PROXY_HOOK). An answer
   * of its own, through `res`, has to begin before the hook ends: return a promise that waits for it.
   */
  readonly onResponse?: ResponseHook | undefined
  /**
   * Rewrites the URLs in Location, Content-Location and Refresh, like nginx's proxy_redirect. true: a URL below the
   * upstream's origin and the target's prefix becomes a path below this proxy's mount, on the host that the client
   * asked. A string: a URL or a path that replaces the mount. An object: URLs or paths by their beginning. Other
   * origins, and URLs relative to the requested one, are left alone. It runs before `onResponse`. @default false
   */
  readonly rewriteLocation?: RewriteRule | undefined
  /**
   * Rewrites the Domain of Set-Cookie, like nginx's proxy_cookie_domain. true: the upstream's own domain, or a parent
   * of it, is removed, so that the cookie belongs to the host that the client asked. A string replaces it. An object:
   * by domain, '*' for any. '' removes the attribute. A cookie without Domain gets none. @default false
   */
  readonly cookieDomain?: RewriteRule | undefined
  /**
   * Rewrites the Path of Set-Cookie, like nginx's proxy_cookie_path. true: a path below the target's prefix becomes
   * one below this proxy's mount. A string replaces the mount. An object: by beginning, '*' for any. A cookie without
   * Path gets none, a `__Host-` cookie is left alone. @default false
   */
  readonly cookiePath?: RewriteRule | undefined
  /**
   * Options of `net.connect` and `tls.connect` for connections to the upstream: `ca`, `cert`, `key`, `servername`,
   * `rejectUnauthorized`, `localAddress`, `family`, `lookup` …, and `socketPath` for a Unix socket. Proxies with
   * equal options share their connections. @default those of Node
   */
  readonly connect?: ConnectOptions | undefined
  /**
   * The longest time to open a connection, TLS included, in milliseconds; then 504 (ERR_SLUICEWAY_UPSTREAM_TIMEOUT).
   * 0: no limit. @default 10 000
   */
  readonly connectTimeoutMs?: number | undefined
  /**
   * The time, in milliseconds, in which the upstream has to begin its answer; then 504
   * (ERR_SLUICEWAY_UPSTREAM_TIMEOUT). A slow upload, or a wait for a connection, does not count. 0: no limit.
   * @default 60 000
   */
  readonly headersTimeoutMs?: number | undefined
  /**
   * The longest silence of the upstream within a body, in milliseconds; then the client is cut off, and `next` gets
   * ERR_SLUICEWAY_UPSTREAM_TIMEOUT. 0: no limit. @default 0
   */
  readonly idleTimeoutMs?: number | undefined
  /**
   * The most connections that the built-in client opens to one origin. Each answer occupies one, an event stream
   * for as long as it lasts; further requests wait, see `maxQueue`. At least 1. @default 1024
   */
  readonly maxConnections?: number | undefined
  /**
   * The most requests that wait for a connection to one origin; then 503 with Retry-After
   * (ERR_SLUICEWAY_UPSTREAM_QUEUE_FULL). At least 1. @default 1024
   */
  readonly maxQueue?: number | undefined
  /**
   * The largest head of an answer, and the largest trailers: bytes, or a size such as '128kb'; beyond it, 502
   * (ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE). At least 1. @default '64kb'
   */
  readonly maxResponseHeadBytes?: ByteSize | undefined
  /**
   * The upgrade tokens that are tunnelled if `attach` brings upgrades to the app. Any other, and always 'h2c', is
   * served as a plain request. @default ['websocket']
   */
  readonly upgrade?: readonly string[] | undefined
}

const checks: OptionChecks<CheckedOptions> = {
  dispatcher: dispatcherOption,
  connect: connectOptions,
  path: callback(),
  preserveHost: flag(false),
  forwarded: oneOf<ForwardedMode>(['auto', 'append', 'replace', false], 'auto'),
  onRequest: callback(),
  onResponse: callback(),
  rewriteLocation: rewriteRule(locationRule),
  cookieDomain: rewriteRule(domainRule),
  cookiePath: rewriteRule(pathRule),
  connectTimeoutMs: timeLimit(10_000),
  headersTimeoutMs: timeLimit(60_000),
  idleTimeoutMs: timeLimit(0),
  maxConnections: wholeNumber(1024, 1),
  maxQueue: wholeNumber(1024, 1),
  maxResponseHeadBytes: byteSize('64kb', { min: 1 }),
  upgrade: tokens(['websocket']),
}

/** A proxy as a middleware, and as the listener of a server: `http.createServer(passthroughProxy(…))`. */
export interface PassthroughProxy {
  /**
   * Proxies one request. An error goes to `next`; without `next`, its status is answered, as plain text.
   * @throws TypeError if `next` is neither a function nor absent.
   */
  (req: IncomingMessage, res: ServerResponse, next?: NextFunction): void
  /** The numbers of requests and tunnels in progress, at any time. */
  readonly stats: ProxyStats
  /**
   * Ends the idle connections to the upstream, and refuses further requests (502,
   * `ERR_SLUICEWAY_UPSTREAM_UNREACHABLE`). Active requests and tunnels go on; the promise is fulfilled when none is
   * left, and never rejected. A `dispatcher` stays open. Further calls have no effect.
   */
  close(): Promise<void>
  /**
   * Closes the proxy, and ends the requests and tunnels that are still active: a request without an answer fails
   * (502, `ERR_SLUICEWAY_UPSTREAM_UNREACHABLE`), an answer that has begun and a tunnel are cut.
   */
  destroy(): Promise<void>
}

/**
 * Passes requests on to `target` and its answers back, streaming in both directions.
 *
 * The target's path is a prefix to the path of every request. Failures of the upstream go to `next` with a status
 * (502, 503, 504) and a `code`; without `next`, that status is answered. Once the head of the answer has been sent, the
 * client's connection is cut instead.
 *
 * NOTE: a body that another middleware has read cannot be passed on; mount `bodyCache()` before that one.
 *
 * @example app.use('/api', passthroughProxy('http://127.0.0.1:8080'))
 * @throws TypeError or RangeError for a wrong target or option.
 * @see docs/passthrough-proxy.md, RFC 9110 §7.6
 */
export function passthroughProxy(
  target: string | URL | TargetFunction,
  options?: PassthroughProxyOptions,
  ...further: undefined[]
): PassthroughProxy {
  rejectRequest(OWNER, target)
  rejectFurther(OWNER, further, 'passthroughProxy(target, options)')
  const chosen = typeof target === 'function' ? new TargetChooser(target) : parseTarget(target)
  const settings = settingsOf(readOptions(OWNER, options, checks, { elsewhere: namesElsewhere }), options)
  const isPlain = !(chosen instanceof TargetChooser) && settings.onRequest === undefined
  const middleware = isPlain ? plainProxy(chosen, settings) : waitingProxy(chosen, settings)
  return Object.assign(middleware, lifecycleOf(settings))
}

/*
 * A proxied request:
 *
 *     client ─▶ readHead ─▶ draft ─▶ onRequest ─▶ SentRequest ─▶ Exchange.send ──┐   request/*
 *                  ▲ startOver: no server has received any of it (attempts.ts) ◀─┤
 *                                                                  Upstream.send   upstream/*
 *     client ◀─ Answer ◀─ onResponse ◀─ readResponseHeaders ◀─ Exchange.on… ◀────┘   response/*
 *                  ▲      ChangedBody ◀─ BodyChain ◀─ onBody      if the hook waits or changes the body
 *                  └───────────┘
 *     any failure ─▶ Exchange.fail ─▶ next(error), or a cut if the answer has begun   endable-exchange.ts
 *                                  └▶ an answer of ours if there is no `next`         tell-error.ts
 */

/** Proxies the usual request, which has nothing to wait for. */
function plainProxy(target: Target, settings: ProxySettings): ProxyHandler {
  const waiting = waitingProxy(target, settings)
  return function passthroughProxyMiddleware(req, res, next) {
    requireNextOrNone(next)
    shareHiddenClass(req, res)
    if (mayHaveUnannouncedBody(req)) return waiting(req, res, next)
    const exchange = new Exchange(req, res, next, settings)
    try {
      const head = readHead(exchange)
      const draft = draftOf(exchange, target, head, false)
      if (mayBeBuffered(req, head)) timers.nextTick(sendDraft, exchange, draft)
      else sendDraft(exchange, draft)
    } catch (error) {
      exchange.fail(error)
    }
  }
}
