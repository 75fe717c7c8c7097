import { Readable } from 'node:stream'
import { expressRequestOf } from '../express.js'
import { IncomingMessage } from '../http.js'
import type { ParsedRequest } from '../internals.js'
import { REPLAYS } from '../keys.js'
import { timers } from '../timers.js'
import { untouchedMethods } from '../untouched-methods.js'

/* The one place where methods of a request are replaced. Other files decide what the new ones do. */
/* oxlint-disable typescript/unbound-method -- all of them are called with the request as `this` */

/** The methods by which a request is read again in place. */
export type ReplayedMethods = Pick<
  ParsedRequest,
  '_read' | 'pause' | 'unshift' | 'destroy' | 'removeAllListeners' | 'iterator' | typeof Symbol.asyncIterator
>

/** Node's own methods of a request. */
export const NODE: ParsedRequest = IncomingMessage.prototype as ParsedRequest

/** Marks methods, so that this package and its other copy recognize a request that has them. */
export function markReplayed(methods: ReplayedMethods): ReplayedMethods {
  Object.assign(methods._read, { [REPLAYS]: true })
  return methods
}

/**
 * Gives a request the methods by which it is replayed, unless it has them.
 *
 * Methods of its own would cost each request time. So they are added once to `express.request`, from which the requests
 * of all applications inherit. Any other request gets its own, and so does one whose methods other code has replaced,
 * or that was passed to an application of another copy of Express.
 */
export function putMethods(req: ParsedRequest, methods: ReplayedMethods, closed: Getter): void {
  if (isReplayed(req)) return
  putInto(expressRequestOf(req, NODE) ?? req, methods, closed)
  if (!isReplayed(req)) putInto(req, methods, closed)
}

/** Returns the value of `closed`. */
type Getter = (this: ParsedRequest) => boolean

function putInto(target: object, methods: ReplayedMethods, closed: Getter): void {
  Object.assign(target, methods)
  // Like Node's own, it cannot be set.
  Object.defineProperty(target, 'closed', { get: closed, configurable: true })
}

/** Returns Node's own value of `closed`. */
export function isMarkedClosed(req: ParsedRequest): boolean {
  const isClosed: boolean = Reflect.get(NODE, 'closed', req)
  return isClosed
}

/** Gives a request only the methods that iterate over it. */
export function putIterators(
  req: ParsedRequest,
  { iterator, [Symbol.asyncIterator]: iterate }: ReplayedMethods,
): void {
  Object.assign(req, { iterator, [Symbol.asyncIterator]: iterate })
}

/** Returns the `_read` that a request has without a replay. */
export function nativeReadOf(req: ParsedRequest): ParsedRequest['_read'] {
  return isReplayed(req) ? NODE._read : req._read
}

/** Calls the `_read` of a request's class, which is another one over HTTP/2. */
export function readNatively(req: ParsedRequest, size: number): void {
  let owner = req
  while (isReplayed(owner)) owner = Object.getPrototypeOf(owner) as ParsedRequest
  owner._read.call(req, size)
}

function isReplayed(req: ParsedRequest): boolean {
  return REPLAYS in req._read
}

/** Gives one request a `_read` of its own. */
export function replaceRead(req: IncomingMessage, read: (this: IncomingMessage, size: number) => void): void {
  req._read = read
}

/** The functions that have replaced `push` here, and the requests where they call a `push` of other code. */
const ownPushes = new WeakSet<ParsedRequest['push']>()
const heardByOthers = new WeakSet<IncomingMessage>()

const hasNodesPush = untouchedMethods(Readable.prototype, { push: "debug('push', chunk)" })

/** Replaces `push`, through which the parser hands over the bytes of a request, and returns the previous `push`. */
export function replacePush(req: ParsedRequest, push: ParsedRequest['push']): ParsedRequest['push'] {
  // This is Node's own, a host's, or the present one if the application has replaced the stream state with the tap.
  const { push: native } = req
  ownPushes.add(push)
  if (native !== NODE.push && !ownPushes.has(native)) heardByOthers.add(req)
  req.push = push
  return native === push ? NODE.push : native
}

/** Tells whether no other code gets the chunks that the parser pushes into a request. */
export function isPushUnseen(req: ParsedRequest): boolean {
  if (!hasNodesPush(NODE)) return false
  return req.push === NODE.push || (ownPushes.has(req.push) && !heardByOthers.has(req))
}

/** Puts bytes, or the end, into the buffer of a request with Node's own `push`. */
export function pushNatively(req: ParsedRequest, chunk: unknown, encoding?: BufferEncoding): boolean {
  return NODE.push.call(req, chunk, encoding)
}

/** Destroys only the stream of a request, whose connection lives until the response is sent. */
export function destroyStreamOf(req: ParsedRequest, error: Error): void {
  req._destroy = destroyNothing
  Readable.prototype.destroy.call(req, error)
}

/** Lets Node handle a client that leaves again: it tells a request only if that has a listener. */
export function restoreDestroy(req: ParsedRequest): void {
  Reflect.deleteProperty(req, '_destroy')
}

function destroyNothing(
  this: ParsedRequest,
  error: Error | null,
  callback: (error?: Error | null) => void,
): void {
  timers.nextTick(callback, error)
}
