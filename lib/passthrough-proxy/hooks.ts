import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import { isSluicewayError, sluicewayError } from '../shared/errors.js'
import type { ByteSize } from '../shared/option-checks.js'
import { show } from '../shared/options.js'
import { isPromise } from '../shared/promises.js'
import type { HeaderList } from './headers/header-list.js'
import type { BodyTransform } from './hook-bodies/body-transform.js'
import type { WebReadable } from './hook-bodies/web-streams.js'

/** The request as it will be sent to the upstream; `onRequest` may change all of it. */
export interface OutgoingRequest {
  method: string
  /** Path and query, including the target's prefix. */
  path: string
  /** The headers without Host, framing and hop-by-hop headers, which follow from the rest. */
  readonly headers: HeaderList
  /**
   * The client's body as it arrives, or null if there is none. null drops the body; any other value replaces it.
   * Content-Encoding and the digests of the client's body are deleted then. A stream that a hook puts here belongs to
   * the proxy from then on, which destroys it in the end.
   */
  get body(): Readable | Buffer | string | null
  set body(body: ReplacementBody)
  /**
   * Changes the body as it is sent: it is piped through a Duplex, or through a pair of web streams such as a
   * `TransformStream`. Several calls make a chain. Nothing of the body is read before the upstream takes it. The body
   * comes in chunks, unless you set its Content-Length; its digests are deleted. Without a body nothing happens.
   */
  pipeThrough(transform: BodyTransform): OutgoingRequest
}

/** The response of the upstream before its head is sent; `onResponse` may change all of it. */
export interface IncomingResponse {
  /** The status, 200 or more: interim responses are passed on without a hook. */
  statusCode: number
  statusMessage: string
  /**
   * The headers without hop-by-hop headers. Content-Length may be deleted, which makes the body chunked. It may be set
   * only for a body that was changed or replaced: a body of another length is cut off.
   */
  readonly headers: HeaderList
  /**
   * Removes the content codings of the body: gzip, deflate, br, and zstd from Node 22.15 on. Without a coding nothing
   * happens. A coding that cannot be removed is a 502. Throws a TypeError for a 206, encoded or not.
   */
  decode(): IncomingResponse
  /**
   * Changes the body as it passes: it is piped through a Duplex, or through a pair of web streams such as a
   * `TransformStream`. Several calls make a chain. The transform gets the bytes of the upstream, compressed or not:
   * call `decode()` first. Throws a TypeError for a 206.
   */
  pipeThrough(transform: BodyTransform): IncomingResponse
  /**
   * Reads the whole body, in the form that it has so far. The client gets the same bytes afterwards. Rejects if the
   * body is larger than `limit`, which is a 502 unless the body is replaced. For HEAD it is empty, and the headers that
   * depend on the body are deleted: those for GET are not known.
   */
  buffer(options?: BufferOptions): Promise<Buffer>
  /** Sends another body. null is an empty one. A stream belongs to the proxy, which destroys it in the end. */
  replace(body: ReplacementBody): IncomingResponse
}

/** The options of `incoming.buffer`. */
export interface BufferOptions {
  /** The largest body to hold in memory: bytes, a size such as '5mb', or Infinity. @default '1mb' */
  readonly limit?: ByteSize | undefined
}

/** A body with which a hook can replace another one. */
export type ReplacementBody = NodeJS.ReadableStream | WebReadable | Uint8Array | ArrayBuffer | string | null

/*
 * The types of functions are taken from methods, whose parameters TypeScript compares in both directions. So a hook may
 * declare the request of a framework: `(outgoing, req: express.Request<{ id: string }>) => …`. A hook may return
 * anything: `(incoming) => incoming.decode()` does.
 */

/** Changes a request before it is sent. `req` may be declared as a request of Express. */
export type RequestHook = {
  hook(outgoing: OutgoingRequest, req: IncomingMessage): unknown
}['hook']

/** Changes a response before its head is sent. `req` and `res` may be declared as those of Express. */
export type ResponseHook = {
  hook(incoming: IncomingResponse, req: IncomingMessage, res: ServerResponse): unknown
}['hook']

/** Runs `onRequest`; an exception becomes an error of the hook. */
export async function runRequestHook(
  hook: RequestHook,
  outgoing: OutgoingRequest,
  req: IncomingMessage,
): Promise<void> {
  try {
    await hook(outgoing, req)
    checkFirstLine(outgoing)
    // As in http.request: methods are case-sensitive, and 'delete' is a mistake for 'DELETE'.
    outgoing.method = outgoing.method.toUpperCase()
  } catch (cause) {
    throw hookError('onRequest failed', cause)
  }
}

/** Throws if a hook in JavaScript has set a path or a method of another kind. */
function checkFirstLine({ path, method }: { readonly path: unknown; readonly method: unknown }): void {
  // A path without the slash could be interpreted as a URL.
  if (typeof path !== 'string' || !path.startsWith('/')) {
    throw new TypeError(`outgoing.path must be a string that begins with '/', got ${show(path)}`)
  }
  if (typeof method !== 'string') {
    throw new TypeError(`outgoing.method must be a string, got ${show(method)}`)
  }
}

/** The answer to the client as `onResponse` can begin it by itself. */
interface OwnAnswer {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  /** Called if the hook has failed: what it has written by itself ends with the exchange. */
  adopt(cause: unknown): void
}

/**
 * Runs `onResponse`. An exception becomes an error of the hook. Returns a promise if the hook is asynchronous, and
 * undefined if it has ended.
 */
export function runResponseHook(
  hook: ResponseHook,
  incoming: IncomingResponse,
  client: OwnAnswer,
): Promise<void> | undefined {
  try {
    const result: unknown = hook(incoming, client.req, client.res)
    if (!isPromise(result)) return undefined
    return Promise.resolve(result).then(ignore, (cause: unknown) => failed(client, cause))
  } catch (cause) {
    return failed(client, cause)
  }
}

function failed(client: OwnAnswer, cause: unknown): never {
  client.adopt(cause)
  throw responseHookError(cause)
}

/** Creates the error of `onResponse`. */
export function responseHookError(cause: unknown): Error {
  return hookError('onResponse failed', cause)
}

/** Creates the error of a transform of `onResponse`. */
export function responseTransformError(cause: unknown): Error {
  return hookError('a transform of onResponse failed', cause)
}

/** Creates the error for a body of `onRequest` that has failed. */
export function requestBodyError(cause: unknown): Error {
  return hookError('the body from onRequest failed', cause)
}

/** Creates the error of a hook. An error of this package that a hook throws on purpose, such as a 413, is kept. */
export function hookError(message: string, cause: unknown): Error {
  if (isSluicewayError(cause)) return cause
  return sluicewayError('ERR_SLUICEWAY_PROXY_HOOK', { message: `passthroughProxy: ${message}`, cause })
}

function ignore(): void {}
