import { createHook } from 'node:async_hooks'
import { EventEmitter } from 'node:events'
import { IncomingMessage, type ServerOptions } from 'node:http'
import { Socket } from 'node:net'
import { PassThrough, Readable } from 'node:stream'
import { bodyCache, maxBytes } from 'sluiceway'
import type { Handler } from '../../support/express/hosts.js'

/** Keeps a chunk for ever. */
export type Keep = (chunk: unknown) => void

/** Code of an application, or of a tracer, that keeps chunks of a request's body while a proxy sends it on. */
export interface Holder {
  /** Runs before the proxy gets the request, in the same turn. */
  readonly before?: (req: IncomingMessage, keep: Keep) => void
  /** Runs while the proxy sends the body; the upstream waits for the result before it answers. */
  readonly after?: (req: IncomingMessage, keep: Keep) => unknown
  /** Middlewares in front of the proxy. */
  readonly middlewares?: readonly Handler[]
  /** Patches classes; the result undoes that. */
  readonly patch?: (keep: Keep) => () => void
  readonly server?: (keep: Keep) => ServerOptions
  /** True if it keeps chunks that wait in the request until the connection takes them. */
  readonly waits?: true
  /** True if it keeps the whole body. */
  readonly keepsAll?: true
  /** True if it adds bytes of its own to the body. */
  readonly adds?: true
}

type Method = (this: unknown, ...args: unknown[]) => unknown
type Methods = Record<string, Method>

/** Replaces a method: `see` gets the arguments and the result of each call. */
function replace(owner: object, name: string, see: (args: unknown[], result: unknown) => void): () => void {
  const isOwn = Object.hasOwn(owner, name)
  const method = (owner as Methods)[name]!
  ;(owner as Methods)[name] = function replaced(...args) {
    see(args, undefined)
    const result = method.apply(this, args)
    see([], result)
    return result
  }
  return () => {
    if (isOwn) (owner as Methods)[name] = method
    else Reflect.deleteProperty(owner, name)
  }
}

/** Keeps what an event brings. */
const dataOf =
  (keep: Keep) =>
  (args: unknown[]): void => {
    if (args[0] === 'data') keep(args[1])
  }

const firstOf =
  (keep: Keep) =>
  (args: unknown[]): void =>
    keep(args[0])

/** Wraps the listeners for 'data', as Sentry does. */
function wrapOn(owner: object, keep: Keep): () => void {
  const { on } = owner as Methods
  const undo = replace(owner, 'on', () => {})
  ;(owner as Methods)['on'] = function wrapped(event, listener) {
    const seen = (chunk: unknown): unknown => {
      keep(chunk)
      return (listener as Method).call(this, chunk)
    }
    return on!.call(this, event, event === 'data' ? seen : listener)
  }
  return undo
}

/** Listens for one chunk after the other, each time in front of all other listeners. */
function listenAgain(req: IncomingMessage, keep: Keep): void {
  req.prependOnceListener('data', (chunk) => {
    keep(chunk)
    setImmediate(listenAgain, req, keep)
  })
}

/** Takes what waits in a paused request, which others get too. */
function poll(req: IncomingMessage, keep: Keep): void {
  if (req.isPaused()) keep(req.read())
  if (!req.readableEnded && !req.destroyed) setImmediate(poll, req, keep)
}

/** Takes what waits in a paused request, and puts it back. */
function putBack(req: IncomingMessage, keep: Keep): void {
  const chunk: unknown = req.read(req.readableLength)
  keep(chunk)
  req.unshift(chunk)
}

async function iterate(stream: AsyncIterable<unknown>, keep: Keep): Promise<void> {
  for await (const chunk of stream) keep(chunk)
}

interface Parser {
  readonly constructor: { readonly kOnBody: number }
}

/** Patches the parser of a request, which serves other connections later. */
function patchParser(req: IncomingMessage, keep: Keep): void {
  const { parser } = req.socket as unknown as { readonly parser: Parser }
  req.once('close', replace(parser, String(parser.constructor.kOnBody), firstOf(keep)))
}

function hookEverything(): () => void {
  const hook = createHook({ init() {}, before() {}, after() {}, destroy() {} }).enable()
  return () => hook.disable()
}

/** A function of other code that is there before maxBytes. */
function pushBefore(req: IncomingMessage & { keep?: Keep }, next: () => void): void {
  replace(
    req,
    'push',
    firstOf((chunk) => req.keep?.(chunk)),
  )
  next()
}

const ofItsOwn = Buffer.alloc(100_000, 'its own ')

/** Each of them keeps chunks of the body of the client. */
export const holders: Readonly<Record<string, Holder>> = {
  'a listener before the proxy': { keepsAll: true, before: (req, keep) => req.on('data', keep) },
  'a listener behind it': { waits: true, after: (req, keep) => req.on('data', keep) },
  'a listener for a single chunk, again and again': { waits: true, before: listenAgain },
  'a listener for a single chunk': { before: (req, keep) => req.once('data', keep) },
  'a pipe': { before: (req, keep) => req.pipe(new PassThrough()).on('data', keep) },
  'a pipe behind it': { after: (req, keep) => req.pipe(new PassThrough()).on('data', keep) },
  'code that puts back what waits': { waits: true, adds: true, after: putBack },
  'a loop': { waits: true, after: (req, keep) => iterate(req, keep) },
  'code that reads what waits': { waits: true, after: poll },
  'a web stream': { after: (req, keep) => iterate(Readable.toWeb(req), keep) },
  'a wrapped on': { before: wrapOn },
  'a push of the request that was replaced before': {
    before: (req, keep) => void replace(req, 'push', firstOf(keep)),
  },
  'a push of the request that is replaced behind it': {
    after: (req, keep) => void replace(req, 'push', firstOf(keep)),
  },
  'an emit of the request': { after: (req, keep) => void replace(req, 'emit', dataOf(keep)) },
  'a read of the request': {
    waits: true,
    after: (req, keep) => void replace(req, 'read', (_args, read) => keep(read)),
  },
  'a parser that was patched': { before: patchParser },
  'a parser that is patched behind it': { after: patchParser },
  'the class of requests, whose push is replaced': {
    patch: (keep) => replace(IncomingMessage.prototype, 'push', firstOf(keep)),
  },
  'the class of streams, whose push is replaced': {
    patch: (keep) => replace(Readable.prototype, 'push', firstOf(keep)),
  },
  'the class of streams, whose read is replaced': {
    waits: true,
    patch: (keep) => replace(Readable.prototype, 'read', (_args, read) => keep(read)),
  },
  'the class of requests, whose emit is replaced': {
    patch: (keep) => replace(IncomingMessage.prototype, 'emit', dataOf(keep)),
  },
  'the class of emitters, whose emit is replaced': {
    waits: true,
    patch: (keep) => replace(EventEmitter.prototype, 'emit', dataOf(keep)),
  },
  'the class of requests, whose on is replaced': {
    patch: (keep) => wrapOn(IncomingMessage.prototype, keep),
  },
  'the class of sockets, whose write is replaced': {
    patch: (keep) => replace(Socket.prototype, 'write', firstOf(keep)),
  },
  'a class of requests with its own push': {
    server: (keep) => ({
      IncomingMessage: class extends IncomingMessage {
        override push(chunk: unknown): boolean {
          keep(chunk)
          return super.push(chunk)
        }
      },
    }),
  },
  'a listener of the connection': { before: ({ socket }, keep) => socket.on('data', keep) },
  'async hooks': { before: (req, keep) => req.on('data', keep), patch: hookEverything },
  'maxBytes, and a listener': {
    middlewares: [maxBytes('20mb')],
    before: (req, keep) => req.on('data', keep),
  },
  'a push that was replaced before maxBytes': {
    middlewares: [(req, _res, next) => pushBefore(req, next), maxBytes('20mb')],
    keepsAll: true,
    before: (req, keep) => void Object.assign(req, { keep }),
  },
  'bodyCache, which is read later': {
    keepsAll: true,
    middlewares: [bodyCache({ memory: '20mb' })],
    after: ({ bodyCache: cached }, keep) => iterate(cached.stream(), keep),
  },
  'bodyCache with a file, which is read later': {
    keepsAll: true,
    middlewares: [bodyCache({ memory: '1mb' })],
    after: ({ bodyCache: cached }, keep) => iterate(cached.stream(), keep),
  },
  'code that pushes its own bytes': {
    adds: true,
    after: (req, keep) => {
      keep(ofItsOwn)
      req.push(ofItsOwn)
    },
  },
}
