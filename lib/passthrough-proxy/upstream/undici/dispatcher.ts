import type { IncomingHttpHeaders } from 'node:http'
import { Readable, type Duplex } from 'node:stream'
import { Agent } from '../../../node/http.js'
import { wrongKind, type OptionCheck } from '../../../shared/options.js'
import type { UpstreamRequest } from '../upstream.js'
import { groupedLines } from './lines.js'
import { ShieldedBody } from './shielded-body.js'

/**
 * A Dispatcher of undici 7 or 8: an Agent, Pool, BalancedPool, ProxyAgent or MockAgent, with or without interceptors,
 * from any copy of undici.
 */
export interface Dispatcher {
  dispatch(options: object, handler: object): boolean
}

/** Recognizes a dispatcher by its methods, as it may come from any copy of its package. */
export const dispatcherOption: OptionCheck<Dispatcher | undefined> = (given, option) => {
  if (given !== undefined && typeof (given as Dispatcher | null)?.dispatch !== 'function') {
    const hint =
      given instanceof Agent ? ' of node:http; undici has an Agent and a ProxyAgent of its own' : ''
    throw wrongKind(option, 'an undici Dispatcher', given, hint)
  }
  return given as Dispatcher | undefined
}

/** The options of a request for undici 7 and 8. */
export interface DispatchOptions {
  readonly origin: string
  readonly path: string
  readonly method: string
  readonly headers: (string | string[])[]
  readonly body: DispatchedBody
  readonly headersTimeout: number
  readonly bodyTimeout: number
  readonly reset: boolean | undefined
  readonly upgrade: string | undefined
}

export type DispatchedBody = Readable | Buffer | string | null

/** Returns the body of a request as it is dispatched, once or several times. */
export function dispatchedBody({ body, taken }: UpstreamRequest): DispatchedBody {
  return body instanceof Readable ? new ShieldedBody(body, taken) : body
}

/** Converts a request to undici's options, which are for one dispatch: an interceptor may change them, and the headers. */
export function dispatchOptions(request: UpstreamRequest, body: DispatchedBody): DispatchOptions {
  const { origin, path, method, contentLength, headersTimeoutMs, idleTimeoutMs, upgrade } = request
  const headers = groupedLines(announcedLines(request))
  // Without a length undici sends chunks.
  if (contentLength !== undefined) headers.push('content-length', contentLength)
  return {
    origin,
    path,
    method,
    headers,
    body,
    headersTimeout: headersTimeoutMs,
    bodyTimeout: idleTimeoutMs,
    // Without `reset` undici closes the connection after HEAD, and after a body with GET, DELETE or OPTIONS.
    reset: upgrade === undefined ? false : undefined,
    upgrade,
  }
}

/** Removes the announcement of trailers, as undici sends none. */
function announcedLines({ lines, trailers }: UpstreamRequest): readonly string[] {
  if (trailers === undefined) return lines
  return lines.filter((_, at) => (lines[at - (at % 2)] as string).toLowerCase() !== 'trailer')
}

/** One part of name, value, name, value, …; a caller's dispatcher may give several values, or text. */
export type RawPart = Buffer | string | readonly (Buffer | string)[]

/** Header lines as undici has read them: one by one, or by name if they came over HTTP/2. */
type Raw = readonly RawPart[] | IncomingHttpHeaders | null | undefined

/** The handler interface of undici 7. */
export interface Handler {
  onConnect(abort: (reason?: Error) => void): void
  onResponseStarted(): void
  onHeaders(status: number, raw: readonly RawPart[], resume: () => void, reason: string): boolean
  onData(chunk: Buffer): boolean
  onComplete(trailers: readonly RawPart[] | null): void
  onUpgrade(status: number, raw: readonly RawPart[] | null, socket: Duplex): void
  onError(error: Error): void
}

/** The connection of one request, which undici 8 passes, and undici 7 to a handler that has `onRequestStart`. */
export interface Controller {
  readonly rawHeaders?: Raw
  readonly rawTrailers?: Raw
  abort(reason: Error): void
  pause(): void
  resume(): void
}

/** The handler interface of undici 8. */
export interface ControlledHandler {
  onRequestStart(controller: Controller): void
  onResponseStart(controller: Controller, status: number, headers: IncomingHttpHeaders, reason?: string): void
  onResponseData(controller: Controller, chunk: Buffer): void
  onResponseEnd(controller: Controller, trailers: IncomingHttpHeaders): void
  onRequestUpgrade(controller: Controller, status: number, headers: IncomingHttpHeaders, socket: Duplex): void
  /** Called without a controller if the request has never had a connection. */
  onResponseError(controller: Controller | null, error: Error): void
}
