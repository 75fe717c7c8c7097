import type { IncomingHttpHeaders } from 'node:http'
import type { Duplex } from 'node:stream'
import { Agent } from '../../../node/http.js'
import { wrongKind, type OptionCheck } from '../../../shared/options.js'

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
