import type { IncomingMessage } from 'node:http'

import { bodySourceOf } from './body/tap.js'
import { sluicewayError } from './shared/errors.js'
import type { Middleware } from './shared/middleware.js'
import {
  byteSize,
  callback,
  flag,
  milliseconds,
  oneOf,
  readOptions,
  rejectRequest,
  wholeNumber,
  type ByteSize,
  type OptionChecks,
} from './shared/options.js'
import { hasCutHead, mayHaveUnannouncedBody } from './node/request-facts.js'
import { Exchange } from './passthrough-proxy/exchange.js'
import { addForwarded, type ForwardedMode } from './passthrough-proxy/request/forwarded.js'
import { HeaderList } from './passthrough-proxy/header-list.js'
import {
  runRequestHook,
  type IncomingResponse,
  type OutgoingRequest,
  type RequestHook,
  type ResponseHook,
} from './passthrough-proxy/hooks.js'
import { refuseLoop } from './passthrough-proxy/request/loop.js'
import { readRequestHead } from './passthrough-proxy/request/headers.js'
import { hasBody, type RequestHead } from './passthrough-proxy/request/request-head.js'
import { domainRule, pathRule } from './passthrough-proxy/response/cookies.js'
import { locationRule } from './passthrough-proxy/response/location.js'
import { rewriteRule, type RewriteRule } from './passthrough-proxy/response/rewrite-rule.js'
import { connectOptions, type ConnectOptions } from './passthrough-proxy/upstream/http1/connect-options.js'
import {
  OWNER,
  settingsOf,
  tokens,
  type CheckedOptions,
  type ProxySettings,
} from './passthrough-proxy/settings.js'
import { Outgoing, type Draft } from './passthrough-proxy/request/outgoing.js'
import { parseTarget, TargetChooser, type Target, type TargetFunction } from './passthrough-proxy/target.js'
import { requestPath, upstreamPath } from './passthrough-proxy/request/path.js'
import { bodyBegins, mayBeUnannounced } from './passthrough-proxy/request/unannounced-body.js'
import { mayBeBuffered } from './passthrough-proxy/request/buffered-body.js'
import { dispatcherOption, type Dispatcher } from './passthrough-proxy/upstream/undici/dispatcher.js'

export type {
  ConnectOptions,
  Dispatcher,
  ForwardedMode,
  HeaderList,
  IncomingResponse,
  OutgoingRequest,
  RequestHook,
  ResponseHook,
}
export type { RewriteRule, TargetFunction }

/** Options of `passthroughProxy`. */
export interface PassthroughProxyOptions {
  /**
   * A dispatcher in place of the built-in client, for HTTP/2, balanced pools, corporate proxies or mocks.
   * It stays the caller's: this package never closes it. By default requests go out over HTTP/1.1: connections are kept
   * alive and shared by all proxies with equal options, one request at a time on each, TLS certificates verified.
   */
  readonly dispatcher?: Dispatcher | undefined
  /**
   * Gives the path and query to ask the upstream for, without the target's prefix. Must begin with '/'.
   * By default `req.url`: the path as received, byte for byte, less what Express has stripped for a mount, and less the
   * slash that Express puts in where a request asks for the mount itself.
   */
  readonly path?: ((req: IncomingMessage) => string) | undefined
  /** Whether the upstream sees the client's Host (true) or its own (false). @default false */
  readonly preserveHost?: boolean | undefined
  /**
   * What X-Forwarded-For, -Host and -Proto say. 'replace': this connection, whatever the client sent (`Forwarded`,
   * X-Real-IP and every other X-Forwarded-… go too). 'append': the client's address joins the list. 'auto': as 'append'
   * where Express' `trust proxy` trusts the peer, else as 'replace'. false: headers pass as they are. @default 'auto'
   */
  readonly forwarded?: ForwardedMode | undefined
  /**
   * Changes method, path, headers or body of the request before it is sent; may be asynchronous.
   * Runs after hop-by-hop headers are stripped; nothing is stripped after it. Not called for a request that is refused.
   */
  readonly onRequest?: RequestHook | undefined
  /**
   * Changes status and headers of the response before its head goes out. Must be synchronous.
   * Not called for interim (1xx) responses, nor when the upstream fails.
   */
  readonly onResponse?: ResponseHook | undefined
  /**
   * Rewrites the URLs in Location, Content-Location and Refresh, as nginx's proxy_redirect. true: what lies below the
   * upstream's origin and the target's prefix becomes a path below this proxy's mount, on whatever host the client asked.
   * A string: a URL or a path that stands there instead of the mount. An object: URLs or paths by their beginning. Other
   * origins, and URLs relative to the answered one, stay as they are. Runs before `onResponse`. @default false
   */
  readonly rewriteLocation?: RewriteRule | undefined
  /**
   * Rewrites the Domain of Set-Cookie, as nginx's proxy_cookie_domain. true: the upstream's own domain, or one above
   * it, is taken away, so that the cookie belongs to the host the client asked. A string stands in its place.
   * An object: by domain, '*' for any. '' takes the attribute away. A cookie without Domain gets none. @default false
   */
  readonly cookieDomain?: RewriteRule | undefined
  /**
   * Rewrites the Path of Set-Cookie, as nginx's proxy_cookie_path. true: what lies below the target's prefix comes below
   * this proxy's mount. A string stands there instead of the mount. An object: by beginning, '*' for any. A cookie
   * without Path gets none, a `__Host-` cookie stays as it is. @default false
   */
  readonly cookiePath?: RewriteRule | undefined
  /**
   * Options of `net.connect` and `tls.connect` for connections to the upstream: `ca`, `cert`, `key`, `servername`,
   * `rejectUnauthorized`, `localAddress`, `family`, `lookup` …, and `socketPath` for a Unix socket. Where they are equal,
   * proxies share their connections. @default those of Node
   */
  readonly connect?: ConnectOptions | undefined
  /** How long a connection may take to open, TLS included, in milliseconds; then 504. 0: no limit. @default 10 000 */
  readonly connectTimeoutMs?: number | undefined
  /**
   * How long the upstream may take to begin its answer, in milliseconds; then 504. A slow upload, or a wait for a
   * connection, does not count. 0: no limit. @default 60 000
   */
  readonly headersTimeoutMs?: number | undefined
  /** How long the upstream may be silent within a body, in milliseconds; then the client is cut off. 0: no limit. @default 0 */
  readonly idleTimeoutMs?: number | undefined
  /**
   * How many connections the built-in client opens to one origin. Each answer under way has one to itself, an event stream
   * for as long as it lasts; further requests wait, see `maxQueue`. At least 1. @default 1024
   */
  readonly maxConnections?: number | undefined
  /** How many requests may wait for a connection to one origin; beyond, 503 with Retry-After. At least 1. @default 1024 */
  readonly maxQueue?: number | undefined
  /**
   * How large the head of an answer may be, and its trailers likewise: bytes, or a size such as '256kb'; beyond, 502.
   * At least 1. @default '128kb'
   */
  readonly maxResponseHeadBytes?: ByteSize | undefined
  /**
   * Upgrade tokens that are tunnelled, where `attach` brings upgrades to the app. Any other, 'h2c' always, is served as
   * a plain request. @default ['websocket']
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
  connectTimeoutMs: milliseconds(10_000),
  headersTimeoutMs: milliseconds(60_000),
  idleTimeoutMs: milliseconds(0),
  maxConnections: wholeNumber(1024, 1),
  maxQueue: wholeNumber(1024, 1),
  maxResponseHeadBytes: byteSize('128kb', { least: 1 }),
  upgrade: tokens(['websocket']),
}

/** A proxy, as a middleware. */
export interface PassthroughProxy extends Middleware {
  /**
   * Ends the idle connections to the upstream, and refuses further requests (502, `ERR_SLUICEWAY_UPSTREAM_UNREACHABLE`).
   * Requests and tunnels under way go on. A `dispatcher` stays open. May be called again, without effect.
   */
  close(): void
}

/**
 * Passes requests on to `target` and its answers back, as a stream in both directions.
 *
 * The target's path is a prefix to every request's own. Failures of the upstream go to `next` with a status
 * (502, 503, 504) and a `code`; once the head of the answer is out, the client's connection is cut instead.
 *
 * NOTE: a body that another middleware has read cannot be passed on; mount `bodyCache()` before that one.
 *
 * @example app.use('/api', passthroughProxy('http://127.0.0.1:8080'))
 * @throws TypeError or RangeError where target or options are wrong.
 * @see docs/passthrough-proxy.md
 */
export function passthroughProxy(
  target: string | URL | TargetFunction,
  options?: PassthroughProxyOptions,
): PassthroughProxy {
  rejectRequest(OWNER, target)
  const chosen = typeof target === 'function' ? new TargetChooser(target) : parseTarget(target)
  const settings = settingsOf(readOptions(OWNER, options, checks), options)
  const isPlain = !(chosen instanceof TargetChooser) && settings.onRequest === undefined
  const middleware = isPlain ? plainProxy(chosen, settings) : askingProxy(chosen, settings)
  return Object.assign(middleware, { close: () => settings.upstream.close() })
}

/*
 * A proxied request:
 *
 *     client ─ readHead ─ draft ─ onRequest ─ new Outgoing ─ Exchange.send ┐   request/*
 *                                                                  Upstream.send   upstream/*
 *     client ◀─ Answer ◀─ onResponse ◀─ readResponseHeaders ◀─ Exchange.on… ┘   response/*
 *
 * Where anything fails, Exchange.fail gives the error to `next`, or cuts an answer that has begun.
 */

/** The common way: nothing to wait for. */
function plainProxy(target: Target, settings: ProxySettings): Middleware {
  const waitingProxy = askingProxy(target, settings)
  return function passthroughProxyMiddleware(req, res, next) {
    if (mayHaveUnannouncedBody(req)) return waitingProxy(req, res, next)
    const exchange = new Exchange(req, res, next, settings)
    try {
      const head = readHead(exchange)
      const draft = draftOf(exchange, target, head)
      if (mayBeBuffered(req, head)) process.nextTick(pass, exchange, draft)
      else pass(exchange, draft)
    } catch (error) {
      exchange.fail(error)
    }
  }
}

/** The same steps, with what has to be waited for in between: the caller's functions, and a body that nobody announced. */
function askingProxy(chosen: Target | TargetChooser, settings: ProxySettings): Middleware {
  return function passthroughProxyMiddleware(req, res, next) {
    const exchange = new Exchange(req, res, next, settings)
    passAfterAsking(exchange, chosen).catch((error: unknown) => exchange.fail(error))
  }
}

async function passAfterAsking(exchange: Exchange, chosen: Target | TargetChooser): Promise<void> {
  const { req, settings } = exchange
  const head = readHead(exchange)
  if (mayBeUnannounced(req, head)) head.chunked = await bodyBegins(req)
  const target = chosen instanceof TargetChooser ? await chosen.targetOf(req) : chosen
  const draft = draftOf(exchange, target, head)
  if (settings.onRequest !== undefined) await runRequestHook(settings.onRequest, draft.outgoing, req)
  pass(exchange, draft)
}

/** What the client's head says to the upstream: without what is hop-by-hop, with who the client is. */
function readHead({ req, res, settings }: Exchange): RequestHead {
  if (hasCutHead(req)) throw bodySourceOf(req, res).failure ?? sluicewayError('ERR_SLUICEWAY_HEAD_CUT')
  const head = readRequestHead(req)
  if (hasBody(head) || mayBeUnannounced(req, head)) requireUnread(req, head)
  addForwarded(head, req, settings.forwarded)
  return head
}

/** With bodyCache a request that was read is readable again, and shows none of these. */
function requireUnread(req: IncomingMessage, head: RequestHead): void {
  // What has ended without a byte may never have had any, if nobody announced them.
  const isOver = hasBody(head) && (req.readableEnded || req.destroyed)
  if (!isOver && !req.readableDidRead) return
  throw sluicewayError('ERR_SLUICEWAY_BODY_ALREADY_READ', {
    message:
      'passthroughProxy: the request body was already read by another middleware; mount bodyCache() before it',
  })
}

/** The request as it would be sent, for `onRequest` to change. */
function draftOf({ req, settings }: Exchange, target: Target, head: RequestHead): Draft {
  refuseLoop(head, target.mark)
  const outgoing = {
    method: req.method as string,
    path: upstreamPath(target, requestPath(req, settings.path)),
    headers: new HeaderList(head.lines),
    body: hasBody(head) ? req : null,
  }
  return { req, settings, target, head, outgoing }
}

/** Sends a request that nobody changes any more. */
function pass(exchange: Exchange, draft: Draft): void {
  if (exchange.trace === undefined) send(exchange, draft)
  else exchange.trace.start(draft, () => send(exchange, draft))
}

function send(exchange: Exchange, draft: Draft): void {
  try {
    const outgoing = new Outgoing(draft)
    // What an early answer leaves of the body is thrown away, within bounds.
    if (outgoing.leavesBody) bodySourceOf(exchange.req, exchange.res)
    exchange.send(outgoing)
  } catch (error) {
    exchange.fail(error)
  }
}
