import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import expressHttpProxy from 'express-http-proxy'
import httpProxy from 'http-proxy'
import * as hpm3 from 'http-proxy-middleware'
import * as hpm304 from 'http-proxy-middleware304'
import { createProxyServer as createHttpxyServer } from 'httpxy'
import { hasNode22Packages, loadNode22 } from '../../test/support/repository/node22.js'
import { type Consumer, sender } from './consumer.js'

/** A proxy that is made once tells for which request an answer has come. */
interface Exchange {
  readonly upstream: string
  readonly answer: (text: string | Promise<string>) => void
  readonly fail: (error: Error) => void
}

type ForwardRequest = (req: IncomingMessage, res: ServerResponse, exchange: Exchange) => unknown

const exchanges = new WeakMap<IncomingMessage, Exchange>()

/** Whoever passes a request on, with its headers. */
export const proxies: readonly Consumer[] = [
  sender('http-proxy', forwarding(httpProxyForward())),
  ...httpProxyMiddlewares('http-proxy-middleware 3', hpm3),
  ...(hasNode22Packages
    ? httpProxyMiddlewares('http-proxy-middleware 4', await loadNode22('http-proxy-middleware'))
    : []),
  sender('httpxy', forwarding(httpxyForward())),
  sender('express-http-proxy', forwarding(forwardWithExpressHttpProxy(false))),
  // It adds a Content-Length to the Transfer-Encoding it copies.
  {
    ...sender('express-http-proxy, body parsed', forwarding(forwardWithExpressHttpProxy(true))),
    framing: 'Content-Length',
  },
]

/** Up to 3.0.4 this writes a parsed body once more, in front of the one that is piped: not needed, and to be removed. */
export const knownMisses: readonly Consumer[] = [
  httpProxyMiddleware('http-proxy-middleware 3.0.4, fixRequestBody', hpm304, (outgoing, req, res) =>
    hpm304.fixRequestBody(outgoing, req, res, {}),
  ),
]

function forwarding(forward: ForwardRequest): Consumer['read'] {
  return (req, res, upstream) =>
    new Promise<string>((answer, fail) => {
      const exchange = { upstream, answer, fail }
      exchanges.set(req, exchange)
      forward(req, res, exchange)
    })
}

function answerExchange(answer: IncomingMessage, req: IncomingMessage): void {
  exchanges.get(req)!.answer(text(answer))
}

function httpProxyForward(): ForwardRequest {
  const proxy = httpProxy.createProxyServer({ selfHandleResponse: true })
  proxy.on('proxyRes', answerExchange)
  return (req, res, { upstream, fail }) => proxy.web(req, res, { target: upstream }, fail)
}

function httpxyForward(): ForwardRequest {
  const proxy = createHttpxyServer({ selfHandleResponse: true })
  proxy.on('proxyRes', answerExchange)
  return (req, res, { upstream, fail }) => {
    proxy.web(req, res, { target: upstream }).catch(fail)
  }
}

/** The options that versions 3 and 4 have in common. */
interface HttpProxyMiddlewareOptions {
  target: string
  router: (req: IncomingMessage) => string
  selfHandleResponse: boolean
  on: {
    proxyReq?: FixRequestBody
    proxyRes: (answer: IncomingMessage, req: IncomingMessage) => void
    error: (error: Error, req: IncomingMessage) => void
  }
}

type FixRequestBody = (outgoing: ClientRequest, req: IncomingMessage, res: ServerResponse) => void

interface HttpProxyMiddlewareModule {
  createProxyMiddleware: (
    options: HttpProxyMiddlewareOptions,
  ) => (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => Promise<void>
  fixRequestBody: (outgoing: ClientRequest, req: IncomingMessage) => void
}

function httpProxyMiddlewares(name: string, hpm: HttpProxyMiddlewareModule): Consumer[] {
  return [
    httpProxyMiddleware(name, hpm),
    httpProxyMiddleware(`${name}, fixRequestBody`, hpm, hpm.fixRequestBody),
  ]
}

function httpProxyMiddleware(
  name: string,
  { createProxyMiddleware }: Pick<HttpProxyMiddlewareModule, 'createProxyMiddleware'>,
  proxyReq?: FixRequestBody,
): Consumer {
  const proxy = createProxyMiddleware({
    target: 'http://upstream.invalid',
    router: (req) => exchanges.get(req)!.upstream,
    selfHandleResponse: true,
    on: {
      ...(proxyReq === undefined ? {} : { proxyReq }),
      proxyRes: answerExchange,
      error: (error, req) => exchanges.get(req)!.fail(error),
    },
  })
  return sender(
    name,
    forwarding((req, res, { fail }) => {
      proxy(req, res, fail as (error?: unknown) => void).catch(fail)
    }),
  )
}

function forwardWithExpressHttpProxy(parseReqBody: boolean): ForwardRequest {
  return (req, res, { upstream, answer, fail }) => {
    // It would take what another parser left there for the body.
    if (parseReqBody) delete (req as { body?: unknown }).body
    let digest = ''
    const proxy = expressHttpProxy(upstream, {
      parseReqBody,
      skipToNextHandlerFilter: ({ headers }) => {
        digest = String(headers['x-digest'])
        return true
      },
    })
    proxy(req as never, res as never, (error?: unknown) => {
      if (error === undefined) answer(digest)
      else fail(error as Error)
    })
  }
}
