// Compiled, never run: the promises of the types to a user of Express, of bare node:http, and of a schema library.
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { expectTypeOf } from 'expect-type'
import express, { type RequestHandler } from 'express'
import {
  attach,
  autoFlush,
  bodyCache,
  type ErrorCode,
  isSluicewayError,
  maxBytes,
  passthroughProxy,
} from 'sluiceway'
import { attach as attachAlone } from 'sluiceway/attach'
import { autoFlush as autoFlushAlone } from 'sluiceway/auto-flush'
import { bodyCache as bodyCacheAlone } from 'sluiceway/body-cache'
import { maxBytes as maxBytesAlone } from 'sluiceway/max-bytes'
import { passthroughProxy as passthroughProxyAlone } from 'sluiceway/passthrough-proxy'
import { z } from 'zod'

// Each factory returns a handler that Express accepts, for an app, a router and a route.
const middlewares = [maxBytes('1mb'), bodyCache(), autoFlush(), passthroughProxy('http://upstream')]
expectTypeOf(middlewares).items.toExtend<RequestHandler>()
express().use(...middlewares)
express.Router().post('/:id', ...middlewares, (req, res) => {
  expectTypeOf(req.params.id).toEqualTypeOf<string>()
  res.end()
})

// … and that has to be made first: the factory itself is none, in any place, nor does it take settings as an argument of their own.
// @ts-expect-error
express().use(maxBytes)
// @ts-expect-error
express().use(bodyCache)
// @ts-expect-error
express().use(autoFlush)
// @ts-expect-error
express().use(passthroughProxy)
// @ts-expect-error
express().use('/api', maxBytes)
// @ts-expect-error
express.Router().use(bodyCache, express.json())
// @ts-expect-error
express().post('/upload', autoFlush)
// @ts-expect-error
maxBytes('1mb', { lingerMs: 0 })
// @ts-expect-error
bodyCache('1mb', { memory: 0 })

// … and what a bare server can call.
const step = maxBytes(100)
expectTypeOf(step).toBeCallableWith({} as IncomingMessage, {} as ServerResponse, () => {})
// @ts-expect-error without next, it could only fail
createServer(step)

// A proxy may be the listener of a server, and be called without next, also in a handler of Express.
const proxy = passthroughProxy('http://upstream')
attach(createServer(proxy), proxy)
createSecureServer({ key: '', cert: '' }, proxy).on('checkContinue', proxy)
express().use('/api', proxy, (req, res) => proxy(req, res))
proxy({} as IncomingMessage, {} as ServerResponse, undefined)
// @ts-expect-error options belong to the factory
proxy({} as IncomingMessage, {} as ServerResponse, { target: 'http://upstream' })

// A subpath exports the same as the root.
expectTypeOf(maxBytesAlone).toEqualTypeOf(maxBytes)
expectTypeOf(bodyCacheAlone).toEqualTypeOf(bodyCache)
expectTypeOf(autoFlushAlone).toEqualTypeOf(autoFlush)
expectTypeOf(passthroughProxyAlone).toEqualTypeOf(passthroughProxy)
expectTypeOf(attachAlone).toEqualTypeOf(attach)

// A limit may be a number, a size, or decided per request.
maxBytes((req) => (req.url === '/large' ? '1gb' : 1024))
// … which may be declared as a request of Express, with its parameters and what other middlewares have added.
interface Signed extends express.Request<{ id: string }> {
  readonly user: { readonly plan: string }
}
maxBytes((req: express.Request) => (req.path === '/large' ? '1gb' : 1024))
maxBytes({ limit: (req: Signed) => (req.user.plan === 'large' && req.params.id !== '' ? '1gb' : 1024) })
express().post(
  '/:id',
  maxBytes((req: express.Request<{ id: string }>) => req.params.id),
  (req, res) => {
    expectTypeOf(req.params.id).toEqualTypeOf<string>()
    res.end()
  },
)
// @ts-expect-error a limit function returns a size
maxBytes((req: express.Request) => req)
// @ts-expect-error it is given a request
maxBytes((size: number) => size)

maxBytes({ limit: '1mb', lingerMs: undefined })
bodyCache('1mb')
bodyCache(1024)
// @ts-expect-error a limit is required
maxBytes({ lingerMs: 100 })
// @ts-expect-error null is no limit
maxBytes(null)
// @ts-expect-error there is no such option
bodyCache({ limt: '1mb' })

// The functions of the proxy, of autoFlush and of attach take a request of Express as well.
passthroughProxy((req: Signed) => `http://upstream-of-${req.user.plan}`, {
  path: (req: Signed) => `/${req.params.id}`,
  onRequest(outgoing, req: Signed) {
    outgoing.headers.set('X-User', req.user.plan)
  },
  async onResponse(incoming, req: Signed, res: express.Response) {
    incoming.headers.set('X-Plan', req.user.plan)
    res.locals['status'] = incoming.statusCode
  },
  cookiePath: (path, req: express.Request) => (req.secure ? path : undefined),
})
autoFlush({
  filter: (req: express.Request, res: express.Response) => req.path !== '/' && res.statusCode === 200,
})
attach(express().listen(), express(), { upgrade: (req: express.Request) => req.url !== '/prices' })
// @ts-expect-error a hook is given no number
passthroughProxy('http://upstream', { onRequest: (outgoing: number) => void outgoing })
// @ts-expect-error a path is text
passthroughProxy('http://upstream', { path: (req: express.Request) => req })

// The addresses of an upstream are rewritten by a flag, a string, an object or a function of the request.
passthroughProxy('http://upstream', {
  rewriteLocation: true,
  cookieDomain: { '*': '' },
  cookiePath: (path, req) => {
    expectTypeOf(path).toEqualTypeOf<string>()
    expectTypeOf(req).toEqualTypeOf<IncomingMessage>()
    return req.url === '/' ? undefined : path
  },
})
passthroughProxy('http://upstream', { rewriteLocation: 'https://www.example.org', cookieDomain: undefined })
// @ts-expect-error a rule is synchronous
passthroughProxy('http://upstream', { rewriteLocation: async () => '/' })
// @ts-expect-error null is no rule
passthroughProxy('http://upstream', { cookiePath: null })

// A schema's output is the type of the parsed body, and each call may have its own.
const Order = z.object({ id: z.string(), sentAt: z.coerce.date() })
const Form = z.object({ amount: z.coerce.number() })

export async function parse(req: express.Request): Promise<void> {
  expectTypeOf(await req.bodyCache.json(Order)).toEqualTypeOf<{ id: string; sentAt: Date }>()
  expectTypeOf(await req.bodyCache.urlencoded(Form)).toEqualTypeOf<{ amount: number }>()
  expectTypeOf(await req.bodyCache.json()).toEqualTypeOf<unknown>()
  expectTypeOf(await req.bodyCache.buffer()).toExtend<Buffer>()
  expectTypeOf(await req.bodyCache.text()).toEqualTypeOf<string>()
  expectTypeOf(req.bodyCache.stream()).toExtend<NodeJS.ReadableStream>()
}

// Errors are distinguished by a code that the compiler knows.
export function explain(error: unknown): string {
  if (!isSluicewayError(error)) return 'something else'
  expectTypeOf(error.code).toEqualTypeOf<ErrorCode>()
  expectTypeOf(error.status).toEqualTypeOf<number>()
  // @ts-expect-error there is no such code
  return error.code === 'ERR_SLUICEWAY_BODY_TO_LARGE' ? 'too large' : error.message
}

// attach takes an Express app or any listener.
expectTypeOf(attach).parameter(1).toEqualTypeOf<RequestListener>()
expectTypeOf(express()).toExtend<RequestListener>()
