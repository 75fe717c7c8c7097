import type { NamesElsewhere } from '../shared/options.js'

/*
 * The options of http-proxy 1.18, http-proxy-middleware 2 to 4, express-http-proxy 2, @fastify/http-proxy and the
 * development servers of Vite and webpack. docs/recipes/from-http-proxy-middleware.md has the details.
 */

const MOUNT =
  "mount the proxy where it belongs: app.use(['/api', '/auth'], proxy), or behind a middleware that decides"
const PATH = 'Express removes the mount path; anything else is for "path": (req) => \'/new/path\''
const TARGET = 'it is the first argument: passthroughProxy(target, options)'
const CHOSEN_TARGET =
  'the first argument may be a function, which may be asynchronous: passthroughProxy((req) => target)'
const SEVERAL_TARGETS =
  'the first argument may be a function that chooses among several, and is called again if one cannot be reached: passthroughProxy((req, failed) => target)'
const CONNECT = 'it belongs in "connect", which takes the options of net.connect and tls.connect'
const POOL =
  'connections are kept alive and shared by default; see "maxConnections" and "connect", or give a "dispatcher"'
const SOCKETS =
  'call attach(server, app) once to bring WebSockets to the app; "upgrade" lists the protocols that are tunnelled'
const UPSTREAM_TIMES =
  'the limits of the upstream are "connectTimeoutMs", "headersTimeoutMs" and "idleTimeoutMs"; server.requestTimeout of Node limits clients'
const REQUEST = 'change the request in "onRequest": (outgoing, req) => outgoing.headers.set(…)'
const REQUEST_BODY =
  'set outgoing.body in "onRequest", or pipe the body through a transform: outgoing.pipeThrough(transform)'
const RESPONSE = 'change the response in "onResponse": (incoming, req, res) => incoming.headers.set(…)'
const RESPONSE_BODY =
  'change the body in "onResponse": incoming.decode().pipeThrough(transform), or await incoming.buffer() and replace(body); or answer there through res'
const LOCATION =
  'it is "rewriteLocation" here: true keeps redirects on the host that the client has asked for, a URL names another'
const HOST = 'by default the upstream sees its own Host; preserveHost: true sends the Host of the client'
const ERRORS = 'failures go to the error handlers of Express, as errors with a status and a code'
const CLOSED = "listen to the response: res.on('close', …) in a middleware before the proxy"
const LOGS = 'DEBUG=sluiceway:proxy prints each request; a logger can subscribe to the diagnostics channels'
const STREAMED =
  'bodies pass byte for byte as they stream, also behind a parser if bodyCache() comes before it'
const BODY_LIMIT = 'mount maxBytes(limit) before the proxy'
const PARTS = 'there are no plugins; "onRequest", "onResponse" and middlewares before the proxy do their work'
const HTTP2 =
  'for an HTTP/2 upstream give a "dispatcher": new Agent({ allowH2: true }) of undici; clients may come over node:http2, but not to Express'
const NO_RETRY =
  'a request is repeated only if that is safe; for other rules give a "dispatcher" with undici\'s interceptors'

const REDIRECTS =
  'redirects go to the client; a "dispatcher" with undici\'s interceptors.redirect follows them'
const FORWARDED = 'X-Forwarded-For, -Host and -Proto are set by default; see "forwarded"'
const CONNECT_TLS =
  '"connect" has the TLS options for the upstream; those of your own server belong to https.createServer'

/** Says for each option of another proxy which option replaces it here, or how to do the same. */
export const namesElsewhere: NamesElsewhere = {
  // http-proxy
  target: TARGET,
  forward: 'no option sends a copy elsewhere; send it from a middleware before the proxy, behind bodyCache()',
  agent: POOL,
  ssl: CONNECT_TLS,
  ws: SOCKETS,
  xfwd: FORWARDED,
  secure:
    'certificates are verified by default; connect: { ca } trusts an authority of your own, connect: { rejectUnauthorized: false } accepts any certificate',
  toProxy: 'to go through another proxy, give a "dispatcher" such as undici\'s ProxyAgent',
  prependPath: 'the path of the target always comes first; give a target without a path instead of false',
  ignorePath: 'give a target without a path, and the one path as "path": () => \'/the/one\'',
  localAddress: CONNECT,
  changeOrigin: HOST,
  preserveHeaderKeyCase: 'headers always keep their case, their order and their repeated lines',
  auth: 'set the header in "onRequest": outgoing.headers.set(\'Authorization\', …)',
  hostRewrite: LOCATION,
  autoRewrite: LOCATION,
  protocolRewrite: LOCATION,
  cookieDomainRewrite: 'it is "cookieDomain" here',
  cookiePathRewrite: 'it is "cookiePath" here',
  headers: 'set headers of the request in "onRequest", those of the response in "onResponse"',
  proxyTimeout: 'it is "headersTimeoutMs" until the response begins, and "idleTimeoutMs" within its body',
  timeout: UPSTREAM_TIMES,
  followRedirects: REDIRECTS,
  selfHandleResponse: RESPONSE_BODY,
  responseInterceptor: RESPONSE_BODY,
  bodyTimeout: 'it is "idleTimeoutMs" here',
  buffer: REQUEST_BODY,
  method: 'set outgoing.method in "onRequest"',
  // httpxy, in http-proxy-middleware 4
  http2: HTTP2,
  upgradeTimeout: 'it is "headersTimeoutMs", for upgrades too',

  // http-proxy-middleware
  pathFilter: MOUNT,
  pathRewrite: PATH,
  router: CHOSEN_TARGET,
  plugins: PARTS,
  ejectPlugins: PARTS,
  logger: LOGS,
  on: 'proxyReq is "onRequest" and proxyRes "onResponse" here; errors go to the error handlers of Express',
  // its version 2
  context: MOUNT,
  logLevel: LOGS,
  logProvider: LOGS,
  onProxyReq: REQUEST,
  onProxyReqWs: 'upgrades pass through "onRequest" too',
  onProxyRes: RESPONSE,
  onError: ERRORS,
  onOpen: CLOSED,
  onClose: CLOSED,

  // express-http-proxy
  proxyReqPathResolver: PATH,
  proxyReqOptDecorator: REQUEST,
  proxyReqBodyDecorator: REQUEST_BODY,
  userResDecorator: RESPONSE_BODY,
  userResHeaderDecorator: RESPONSE,
  proxyErrorHandler: ERRORS,
  filter: MOUNT,
  skipToNextHandlerFilter:
    'an error that "onResponse" throws goes to an error handler, which may call next() for it',
  limit: BODY_LIMIT,
  memoizeHost: CHOSEN_TARGET,
  preserveHostHdr: HOST,
  preserveReqSession: 'the request is the one of your app in every hook, so req.session is there',
  parseReqBody: STREAMED,
  reqAsBuffer: STREAMED,
  reqBodyEncoding: STREAMED,
  https: 'the target says so: https://…',
  port: 'the target names it: http://127.0.0.1:8080',

  // @fastify/http-proxy and @fastify/reply-from
  upstream: TARGET,
  base: TARGET,
  getUpstream: CHOSEN_TARGET,
  prefix: MOUNT,
  rewritePrefix: PATH,
  httpMethods: MOUNT,
  preHandler: MOUNT,
  preValidation: MOUNT,
  proxyPayloads: STREAMED,
  queryString: PATH,
  rewriteHeaders: RESPONSE,
  rewriteRequestHeaders: REQUEST,
  replyOptions:
    'its functions are options of the proxy itself: "onRequest", "onResponse", and a target function',
  retryMethods: NO_RETRY,
  retriesCount: NO_RETRY,
  maxRetriesOn503: NO_RETRY,
  undici: POOL,
  http: POOL,
  globalAgent: POOL,
  websocket: SOCKETS,
  wsUpstream: SOCKETS,

  // Vite and webpack-dev-server
  rewrite: PATH,
  bypass: MOUNT,
  configure: PARTS,
  rewriteWsOrigin: 'set the header in "onRequest": outgoing.headers.set(\'Origin\', …)',

  // Names that several packages use
  timeoutMs: UPSTREAM_TIMES,
  requestTimeout: UPSTREAM_TIMES,
  retry: NO_RETRY,
  retries: NO_RETRY,
  cache: 'answers are not kept; a "dispatcher" with undici\'s interceptors.cache keeps them',
  maxRedirects: REDIRECTS,
  xForwarded: FORWARDED,
  trustProxy: FORWARDED,
  targets: SEVERAL_TARGETS,
  upstreams: SEVERAL_TARGETS,
  hosts: SEVERAL_TARGETS,
  loadBalance: SEVERAL_TARGETS,
  failover: SEVERAL_TARGETS,
  healthCheck: SEVERAL_TARGETS,

  // Options of agents, sockets and TLS
  host: TARGET,
  keepAlive: POOL,
  maxSockets: 'it is "maxConnections" here',
  tls: CONNECT_TLS,
  socketPath: CONNECT,
  lookup: CONNECT,
  family: CONNECT,
  servername: CONNECT,
  rejectUnauthorized: CONNECT,
  ca: CONNECT,
  cert: CONNECT,
  key: CONNECT,
  pfx: CONNECT,
  passphrase: CONNECT,
}
